"""Files from the network: complete and checked, or not there; resumed where they stopped, and never waited for in vain."""

from ddjax.downloads.files import Remote, download

__all__ = ["Remote", "download"]
