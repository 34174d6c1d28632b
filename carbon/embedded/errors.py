"""What the managers of the embedded servers raise."""


class EmbeddedServerError(RuntimeError):
    """An embedded server cannot be started; the message says why and what helps."""
