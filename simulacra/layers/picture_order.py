"""`PictureOrder`: networks that list their layers in order from the picture, so that another size can take them over."""

from __future__ import annotations

from torch import nn


class PictureOrder(nn.Module):
    """A network whose depth depends on the side of the pictures."""

    def layers_from_picture(self) -> list[nn.Module]:
        """The layers that come and go with the side, those nearest the picture first: D's forwards, G's backwards.

        Layers at the same place in networks for different sides have the same channels. Layers without tensors do not
        count; those that every network has once, such as the first of G, are left out.
        """
        raise TypeError(f"{type(self).__name__} must define layers_from_picture")
