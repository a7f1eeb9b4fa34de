"""Files of a local model folder that are uploaded: those from which a safetensors model is read.

Called by the client and by ``espalier models push``, which lists the files left out.
"""

from pathlib import Path

_KINDS = (".safetensors", ".json", ".txt", ".model", ".jinja")


def model_files(folder: Path) -> dict[str, Path]:
    """Name and path of each file to be sent: of a folder those a model is read from, of a zip the zip itself.

    Raises OSError: FileNotFoundError for a missing path, and for a folder without such files.
    """
    if folder.is_file():
        return {folder.name: folder}
    found = {file.name: file for file in sorted(folder.iterdir()) if _is_needed(file)}
    if not found:
        raise FileNotFoundError(f"{folder} has no files of a model; give a Hugging Face folder with safetensors weights")
    return found


def left_out(folder: Path) -> list[str]:
    """Names of the other files and folders in the folder; those of folders end in a slash."""
    if folder.is_file():
        return []
    others = [entry for entry in sorted(folder.iterdir()) if not _is_needed(entry)]
    return [f"{entry.name}/" if entry.is_dir() else entry.name for entry in others]


def _is_needed(file: Path) -> bool:
    return file.is_file() and not file.name.startswith(".") and file.name.lower().endswith(_KINDS)
