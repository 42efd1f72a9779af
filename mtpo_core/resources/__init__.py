"""Resources: the live state that tools act on. The protocol is here, each kind of resource in a module of its own."""

from mtpo_core.resources.base import Fingerprint, Resource, ResourceError, ResourceGone

__all__ = ["Fingerprint", "Resource", "ResourceError", "ResourceGone"]
