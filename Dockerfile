# Two images from one file: docker build --target api, docker build --target worker.
# The API has no torch; the worker has the CUDA build, which also runs where there is no GPU. Commands go through `espalier`, which
# finds its own packages even if another project is mounted over the working directory or named in PYTHONPATH.

FROM python:3.11-slim AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/venv/bin:$PATH
WORKDIR /app
# trainers are a user of their own where the worker may switch (ESPALIER_TRAINER_USER), else the worker's;
# named volumes take over the owner of the folder they are mounted on
RUN groupadd --gid 10001 espalier && groupadd --gid 10002 trainer \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin espalier \
    && useradd --uid 10002 --gid 10002 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin trainer \
    && install --directory --owner espalier --group espalier /data /checkpoints \
    && install --directory --owner trainer --group espalier --mode 0775 /cache

FROM base AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
# the requirements first and the code last: a change of code does not download torch again
COPY pyproject.toml requirements.lock requirements-torch.lock ./
COPY scripts/locked_subset.py scripts/

FROM build AS build-worker
# in two steps: pip wants a digest for every file of a call or for none, and torch has none (requirements-torch.lock says why)
RUN python scripts/locked_subset.py server train onnx s3 otel > /tmp/worker.lock \
    && pip install --require-hashes --no-deps --requirement /tmp/worker.lock
RUN pip freeze > /tmp/versions.txt && pip install --constraint /tmp/versions.txt --requirement requirements-torch.lock
COPY . .
RUN pip install --no-deps .

FROM build AS build-api
RUN python scripts/locked_subset.py server parquet s3 otel > /tmp/api.lock \
    && pip install --require-hashes --no-deps --requirement /tmp/api.lock
COPY . .
RUN pip install --no-deps .

FROM base AS api
COPY --from=build-api /venv /venv
# published or not, requests come from other machines
ENV ESPALIER_REQUIRE_KEYS=true MALLOC_ARENA_MAX=2
USER 10001:10001
EXPOSE 8000
# beyond loopback only inside the container's own network; what is published is for the operator to decide
CMD ["espalier", "api", "--host", "0.0.0.0", "--port", "8000"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-P", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]

FROM base AS worker
# kernels are compiled where they run, for the processor or GPU that is there: C++ for the one, Triton's launchers for the other
RUN apt-get update && apt-get install --yes --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
COPY --from=build-worker /venv /venv
# compiled files are next to the models: a tmpfs on /tmp does not let code be loaded from it
ENV ESPALIER_DATA_DIR=/data ESPALIER_CHECKPOINT_DIR=/checkpoints HF_HOME=/cache HOME=/tmp \
    XDG_CACHE_HOME=/cache TRITON_CACHE_DIR=/cache/triton
USER 10001:10001
STOPSIGNAL SIGTERM
CMD ["espalier", "worker", "--wait"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["espalier", "health"]
