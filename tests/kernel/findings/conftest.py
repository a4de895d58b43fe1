from tests.kernel.models.scale import scale_room  # noqa: F401
