"""One file per kind of thing with its RESOURCE, found by `services.web.app`."""
