"""`python -m api.model_proxy`."""

import sys

from api.model_proxy.serving import serve
from contracts.errors import OrchestratorError
from runtime.embedded import postgres
from runtime.observability.logging import configure_logging
from runtime.settings import database_address, load_settings


def main() -> int:
    """Exit codes: 0 done, 1 refused with a reason on stderr."""
    try:
        settings = load_settings()
        configure_logging(settings, "model-proxy")
        url = database_address(settings) or postgres.prepare(settings.postgres_dir, settings.postgres_port).url
        serve(settings, url)
    except OrchestratorError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
