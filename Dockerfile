# One image for every service of the fleet; docker-compose.yml says which one a container runs.
# Written for the classic builder too: no RUN --mount.

FROM python:3.11-slim-bookworm AS build
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

# What runs, apart from what only develops; every file checked against its hash.
COPY requirements.lock requirements-uv.lock pyproject.toml ./
COPY vx11/__init__.py vx11/install.py vx11/lock.py vx11/
RUN pip install --require-hashes --no-deps -r requirements-uv.lock \
    && python -m vx11.lock part > /tmp/runtime.lock \
    && python -m vx11.lock part hatchling > /tmp/build.lock \
    && uv venv --python /usr/local/bin/python3 /opt/vx11 \
    && uv pip install --no-cache --python /opt/vx11/bin/python --compile-bytecode --require-hashes --no-deps -r /tmp/runtime.lock \
    && uv venv --python /usr/local/bin/python3 /opt/build \
    && uv pip install --no-cache --python /opt/build/bin/python --require-hashes --no-deps -r /tmp/build.lock

# The project itself, as a wheel.
COPY . .
RUN /opt/build/bin/python -m hatchling build -t wheel -d /tmp/wheel \
    && uv pip install --no-cache --python /opt/vx11/bin/python --compile-bytecode --no-deps /tmp/wheel/*.whl \
    && install -m 0755 config/healthcheck.py /opt/vx11/bin/healthcheck \
    && install -d -m 0700 -o 10001 -g 10001 /var/lib/vx11
# The sample loops of the audio engineer: a new volume begins with them, so that the first job need not wait for a compiler.
RUN VX11_STATE_DIR=/var/lib/vx11 /opt/vx11/bin/python -m shub.prepare && chown -R 10001:10001 /var/lib/vx11

FROM python:3.11-slim-bookworm AS fleet
# the local model's engine is linked against GNU OpenMP
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 vx11 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/vx11 --shell /usr/sbin/nologin vx11
COPY --from=build /opt/vx11 /opt/vx11
COPY --from=build --chown=10001:10001 /var/lib/vx11 /var/lib/vx11
ENV PATH=/opt/vx11/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    VX11_HOST=0.0.0.0 \
    VX11_STATE_DIR=/var/lib/vx11 \
    XDG_CACHE_HOME=/var/lib/vx11/cache
VOLUME /var/lib/vx11
WORKDIR /opt/vx11
USER 10001:10001
CMD ["python", "-m", "config.serve", "gateway"]
