"""A domain that keeps metadata, and nothing else."""

import libvirt


class Domain:
    """Keeps metadata where it is told to."""

    def __init__(self, active=True, persistent=False):
        self.active, self.persistent = active, persistent
        self.kept = {}

    def isActive(self):
        return int(self.active)

    def isPersistent(self):
        return int(self.persistent)

    def setMetadata(self, kind, text, key, uri, flags):
        for place in (
            libvirt.VIR_DOMAIN_AFFECT_LIVE,
            libvirt.VIR_DOMAIN_AFFECT_CONFIG,
        ):
            if flags & place:
                self.kept[place] = text

    def metadata(self, kind, uri, flags):
        if not flags:
            flags = (
                libvirt.VIR_DOMAIN_AFFECT_LIVE
                if self.active
                else libvirt.VIR_DOMAIN_AFFECT_CONFIG
            )
        return self.kept[flags]
