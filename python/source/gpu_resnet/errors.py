"""What goes wrong. Every message is one sentence that names the file or the argument, what is wrong, and what to do: the
sentence that the command line prints."""


class Error(Exception):
    """Anything that this package raises of its own."""


class FileError(Error, OSError):
    """A file, a folder or an image that can't be used."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class UsageError(Error, ValueError):
    """Arguments that contradict each other, or name something that does not exist; shapes that don't fit."""


class NoAdapterError(Error, RuntimeError):
    """No adapter fits, or the chosen one can't run compute shaders."""


class OutOfMemoryError(Error, MemoryError):
    """The adapter refused memory even for one image."""


class DeviceLostError(Error, RuntimeError):
    """The driver reset or removed the device."""


class MismatchError(Error, AssertionError):
    """A comparison with a reference found a difference."""
