# The only way of the agents' worker to the Docker Engine: what infra/engine_proxy does not know is refused.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-h11 \
    && rm -rf /var/lib/apt/lists/*
COPY __init__.py /opt/proxy/infra/
COPY engine_proxy /opt/proxy/infra/engine_proxy
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /opt/proxy
EXPOSE 2375
CMD ["python3", "-m", "infra.engine_proxy"]
