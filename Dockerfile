# MION in a container, on CPUs or GPUs:
#   docker build --target cpu  -t mion .        # or --target cuda
#   docker run --rm --user "$(id -u)" -v "$PWD:/work" mion demo photo.jpg --out outputs
#   docker run --rm --user "$(id -u)" --gpus all --shm-size 2g -v "$PWD:/work" mion train mrt_tiny_lifting
#   docker run --rm -p 7860:7860 mion app --host 0.0.0.0
# (workers hand batches over in shared memory, of which a container has 64 MB unless told otherwise)
ARG PYTHON=3.12

FROM python:${PYTHON}-slim-bookworm AS wheel
WORKDIR /source
COPY pyproject.toml hatch_build.py README.md LICENSE NOTICE ./
COPY configs configs
COPY tools tools
COPY mion_plugin mion_plugin
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON}-slim-bookworm AS base
# What OpenCV and MediaPipe load of the system, by the names of this Debian; it keeps no older versions to pin.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libegl1 libgl1 libgles2 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 mion \
    && chmod 1777 /home/mion
COPY --from=wheel /wheels /wheels
# A home and a name also for those whom `--user` names and the image does not know: what libraries keep goes there
ENV HOME=/home/mion \
    USER=mion \
    PYTHONUNBUFFERED=1 \
    EXTRAS=app,convert,export,mocap,numba,pretrained,rtmpose
WORKDIR /work
ENTRYPOINT ["mion"]
CMD ["--help"]

FROM base AS cpu
# torch without CUDA's libraries, which are most of its size, before the rest asks for any torch; versions are the wheel's
# hadolint ignore=DL3013
RUN pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-cache-dir "$(echo /wheels/mion_plugin-*.whl)[$EXTRAS]"
USER 1000

FROM base AS cuda
# torch from the package index brings CUDA's libraries; the driver is the host's (NVIDIA Container Toolkit)
# hadolint ignore=DL3013
RUN pip install --no-cache-dir "$(echo /wheels/mion_plugin-*.whl)[$EXTRAS]"
USER 1000
