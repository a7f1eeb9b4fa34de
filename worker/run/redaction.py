"""Takes a secret out of what a trainer says, should a library repeat it in an error. Called by ``output.py``, ``reporting.py``."""

_INSTEAD = b"[secret]"


class Redactor:
    """Hides nothing until it is told what to hide."""

    def __init__(self) -> None:
        self._secret = b""

    def hide(self, secret: str) -> None:
        """``secret`` is ASCII without quotes and backslashes, so JSON does not spell it otherwise."""
        self._secret = secret.encode("ascii")

    def __call__(self, data: bytes, *, cut: bool = False) -> bytes:
        """``data`` without the secret. ``cut``: its beginning is missing, and with it perhaps the secret's own."""
        if not self._secret:
            return data
        if cut:
            ends = (self._secret[start:] for start in range(1, len(self._secret)))
            data = next((_INSTEAD + data[len(end) :] for end in ends if data.startswith(end)), data)
        return data.replace(self._secret, _INSTEAD)
