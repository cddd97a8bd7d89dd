# One node of one hospital. Everything that must last is in the volume: settings, keys, certificates, database, contents.
#
#   docker build -t hie-node .
#   docker run --rm -v hie:/var/lib/hie hie-node init /var/lib/hie --name "…" --facility-code 27001 \
#       --public-host hie.example.vn --listen 0.0.0.0
#   docker run -d --name hie --read-only --cap-drop ALL --security-opt no-new-privileges --tmpfs /tmp \
#       -v hie:/var/lib/hie -p 8443:8443 -p 9443:9443 --stop-timeout 30 hie-node

FROM debian:bookworm-slim AS built
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/hie
COPY deploy/requirements.txt /tmp/requirements.txt
RUN /opt/hie/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /tmp/requirements.txt
# the program itself: its own files and nothing fetched
COPY registry /opt/hie/program/registry
COPY consent /opt/hie/program/consent
COPY adapters /opt/hie/program/adapters
COPY hie_node /opt/hie/program/hie_node
COPY LICENSE CHANGELOG.md /opt/hie/program/
RUN echo /opt/hie/program > "$(/opt/hie/bin/python -c 'import site; print(site.getsitepackages()[0])')/hie-node.pth" \
    && printf '#!/bin/sh\nexec /opt/hie/bin/python -m hie_node "$@"\n' > /opt/hie/bin/hie \
    && chmod 755 /opt/hie/bin/hie \
    && /opt/hie/bin/python -m compileall -q /opt/hie/program

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get upgrade -y \
    && apt-get install -y --no-install-recommends ca-certificates openssl python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --home-dir /var/lib/hie --no-create-home --shell /usr/sbin/nologin hie \
    && install -d -o hie -g hie -m 700 /var/lib/hie
COPY --from=built /opt/hie /opt/hie
COPY deploy/renew-certificate /opt/hie/bin/renew-certificate
ENV PATH=/opt/hie/bin:$PATH HIE_HOME=/var/lib/hie LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 PYTHONNODEBUGRANGES=1
USER hie
WORKDIR /var/lib/hie
VOLUME /var/lib/hie
EXPOSE 8443 9443
STOPSIGNAL SIGTERM
# the operations listener is on the loopback of this container; its port stands in node.toml
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import tomllib, urllib.request as u; u.urlopen(tomllib.load(open('/var/lib/hie/node.toml', 'rb'))['ops']['url'] + '/health/live', timeout=4)"]
ENTRYPOINT ["hie"]
CMD ["serve"]
