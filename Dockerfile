# phasetune in a container: `docker build -t phasetune .`; docs/cluster.md tells how to use it.
#
# For machines with and without GPU: torch of constraints.txt brings its CUDA with it where the index
# gives that build, and needs only NVIDIA's container toolkit on the host. For the smaller build
# without CUDA name torch's index for CPUs: --build-arg PIP_OPTIONS="--extra-index-url ADDRESS".
ARG BASE=python:3.12-slim-bookworm
FROM ${BASE}

ARG PIP_OPTIONS=
WORKDIR /opt/phasetune
COPY pyproject.toml constraints.txt README.md ./
COPY src ./src
# hadolint ignore=SC2086 # options are words
RUN python -m pip install --no-cache-dir ${PIP_OPTIONS} --constraint constraints.txt .

RUN useradd --create-home --uid 1000 phasetune && install -d -o 1000 -g 1000 /studies/results
COPY configs /studies/configs
USER 1000:1000
WORKDIR /studies
VOLUME /studies/results
ENTRYPOINT ["phasetune"]
CMD ["--help"]
