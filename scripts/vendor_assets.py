"""Vendoring of the scripts of all pages: ``python -m scripts.vendor_assets`` fetches them into ``api/static``, further ones for
tests of pages into ``tests/browser/vendored``.

The pages of the service, ``/docs`` and ``/redoc`` work without a network, and no other host's script runs in their origin. Each
package is pinned by version and by the registry's own digest; ``manifest.json`` holds the digests of the files, which a test
checks.
"""

import hashlib
import json
from pathlib import Path

from scripts.npm_package import Package

TEST_STATIC = Path(__file__).parents[1] / "tests" / "browser" / "vendored"
MANIFEST_NAME = "manifest.json"


PACKAGES = (
    Package(
        "swagger-ui-dist",
        "5.35.0",
        "Apache-2.0",
        "U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ==",
        {
            "package/swagger-ui-bundle.js": "swagger-ui-bundle.js",
            "package/swagger-ui.css": "swagger-ui.css",
            "package/LICENSE": "swagger-ui.LICENSE.txt",
        },
    ),
    Package(
        "redoc",
        "2.5.4",
        "MIT",
        "M6jWhG1qoBnH6TFmzJnstyCZ87HmOY/UzDm78mHiYihEdlV/YcS9ogOo1NlElnJMeLsyxHFe2yFc4sNjHTrABQ==",
        {"package/bundles/redoc.standalone.js": "redoc.standalone.js", "package/LICENSE": "redoc.LICENSE.txt"},
    ),
    Package(
        "htmx.org",
        "4.0.1",
        "0BSD",
        "oF7JgXhDW9UXCy/k1ZYFUQgzu/rm19ORWPSPNL91vPluB2PB9+MV55tyQdH/w7o2EAbTYUG5SDW1R60mdkdqGg==",
        {
            "package/dist/htmx.min.js": "htmx.min.js",
            "package/dist/ext/hx-sse.min.js": "hx-sse.min.js",
            "package/LICENSE": "htmx.LICENSE.txt",
        },
    ),
    Package(
        "uplot",
        "1.6.32",
        "MIT",
        "KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw==",
        {
            "package/dist/uPlot.iife.min.js": "uplot.min.js",
            "package/dist/uPlot.min.css": "uplot.min.css",
            "package/LICENSE": "uplot.LICENSE.txt",
        },
    ),
    Package(
        "axe-core",
        "4.14.1",
        "MPL-2.0",
        "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
        {"package/axe.min.js": "axe.min.js", "package/LICENSE": "axe.LICENSE.txt"},
        TEST_STATIC,
    ),
)


def main() -> None:
    """Fetch, check and write everything. Raises OSError, ValueError for an archive with another digest."""
    manifests: dict[Path, dict[str, dict[str, str]]] = {package.folder: {} for package in PACKAGES}
    for package in PACKAGES:
        package.folder.mkdir(exist_ok=True)
        for name, content in package.fetch().items():
            (package.folder / name).write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            about = {"package": package.name, "version": package.version, "license": package.license}
            manifests[package.folder][name] = {**about, "sha256": digest}
    for folder, manifest in manifests.items():
        (folder / MANIFEST_NAME).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
