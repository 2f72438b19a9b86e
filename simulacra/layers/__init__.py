"""Layers that several GANs share: fast convolutions and norms, conditioning on labels, equalised layers, resampling."""

from simulacra.layers.conditional import ConditionalNorm as ConditionalNorm
from simulacra.layers.conditional import LabelProjection as LabelProjection
from simulacra.layers.convolution import Conv2d as Conv2d
from simulacra.layers.convolution import ConvTranspose2d as ConvTranspose2d
from simulacra.layers.convolution import DoublingConv2d as DoublingConv2d
from simulacra.layers.convolution import GroupedConv2d as GroupedConv2d
from simulacra.layers.convolution import HalvingConv2d as HalvingConv2d
from simulacra.layers.convolution import InstanceNorm2d as InstanceNorm2d
from simulacra.layers.convolution import inputs_only as inputs_only
from simulacra.layers.equalised import GROUP as GROUP
from simulacra.layers.equalised import EqualisedConv2d as EqualisedConv2d
from simulacra.layers.equalised import EqualisedLinear as EqualisedLinear
from simulacra.layers.equalised import minibatch_stddev as minibatch_stddev
from simulacra.layers.equalised import pixel_norm as pixel_norm
from simulacra.layers.linear import Linear as Linear
from simulacra.layers.modulated import ModulatedConv2d as ModulatedConv2d
from simulacra.layers.modulated import ModulatedPixels as ModulatedPixels
from simulacra.layers.picture_order import PictureOrder as PictureOrder
from simulacra.layers.pool import Pool as Pool
from simulacra.layers.resampling import Patches as Patches
from simulacra.layers.resampling import blur as blur
from simulacra.layers.resampling import downsample as downsample
from simulacra.layers.resampling import interpolate as interpolate
from simulacra.layers.resampling import upsample as upsample
