"""Numbers of bytes as people read them."""


def format_size(size: float) -> str:
    """Return a number of bytes as people read it: ``622 MB``, in powers of ten as disks and downloads are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5 or unit == "GB":  # noqa: PLR2004 - three digits
            break
        size /= 1000
    return f"{size:.0f} {unit}" if size >= 99.5 or unit == "B" else f"{size:.3g} {unit}"  # noqa: PLR2004
