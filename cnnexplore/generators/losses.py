"""The training loss of a decoder: squared error in pixels, in a deep layer of the encoder, and against a discriminator.

The weights are those of A. Dosovitskiy and T. Brox, Generating images with perceptual similarity metrics based on deep
networks, NIPS 2016, per image of 3 x 256 x 256 pixels and per activation of pool5 of CaffeNet. For images and layers of
another size each error is taken relative to its usual size, so that the terms keep their proportions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

KINDS = ("pixel", "feature", "adversarial")
PIXEL, FEATURE, ADVERSARIAL = 2e-6, 0.01, 100.0  # of half a sum of squares, of the same, and of a cross-entropy
PUBLISHED_PIXELS = 3 * 256 * 256
# Means over 60 photographs of 227 x 227: the squared value of a pixel less the mean, and the squared norm of pool5 of
# Caffe's AlexNet.
PUBLISHED_SQUARE, PUBLISHED_FEATURE = 4760.0, 1.46e6
REAL, FAKE = 0, 1  # the discriminator's classes
STOP, START, STOP_GENERATOR = 0.1, 0.5, 10.0  # thresholds of the balance


@dataclass(frozen=True)
class Loss:
    """What a decoder is trained to minimise.

    Attributes
    ----------
    kind : {"pixel", "feature", "adversarial"}
        Pixels alone; with the feature term; with the adversarial term too.
    pixels : float
        The usual squared norm of an image, 0..255 with the mean subtracted, over the training images.
    feature : float
        The usual squared norm of the feature layer's activations over the training images.
    against : float
        What the published weight of the adversarial term is multiplied by.
    """

    kind: str
    pixels: float
    feature: float = 1.0
    against: float = 1.0

    @property
    def pixel_weight(self) -> float:
        """The weight of half the summed squared error of an image's pixels."""
        return PIXEL * PUBLISHED_PIXELS * PUBLISHED_SQUARE / self.pixels

    @property
    def feature_weight(self) -> float:
        """The weight of half the summed squared error of the features; 0 for pixels alone."""
        return 0.0 if self.kind == "pixel" else FEATURE * PUBLISHED_FEATURE / self.feature

    @property
    def adversarial_weight(self) -> float:
        """The weight of the cross-entropy; 0 without a discriminator."""
        return ADVERSARIAL * self.against if self.kind == "adversarial" else 0.0

    def __call__(
        self,
        image: torch.Tensor,
        target: torch.Tensor,
        features: torch.Tensor | None = None,
        wanted: torch.Tensor | None = None,
        verdict: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The loss of a batch, a number.

        Parameters
        ----------
        image, target : torch.Tensor
            (N, C, H, W) of the decoder, and the photograph.
        features, wanted : torch.Tensor, optional
            (N, ...) the feature layer's activations of both.
        verdict : torch.Tensor, optional
            (N, 2) the discriminator's scores of the decoder's images.
        """
        loss = self.pixel_weight * half_squares(image, target)
        if features is not None and wanted is not None:
            loss = loss + self.feature_weight * half_squares(features, wanted)
        if verdict is not None:
            loss = loss + self.adversarial_weight * cross_entropy(verdict, REAL)
        return loss


def half_squares(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The sum of squared differences over twice the number of images, a number: Caffe's EuclideanLoss."""
    return (a.float() - b.float()).square().sum() / (2 * len(a))


def cross_entropy(scores: torch.Tensor, kind: int) -> torch.Tensor:
    """The softmax cross-entropy of a batch that is all real or all fake."""
    return F.cross_entropy(scores.float(), scores.new_full((len(scores),), kind, dtype=torch.long))


@dataclass
class Balance:
    """Which of the two is trained: the discriminator rests while it is far ahead, the generator while it is.

    Attributes
    ----------
    discriminator, generator : bool
        Whether each is trained in the next step.
    """

    discriminator: bool = True
    generator: bool = True

    def update(self, real: float, fake: float, fooled: float) -> None:
        """Take in the losses of a step.

        Parameters
        ----------
        real, fake : float
            The discriminator's loss on photographs and on the decoder's images.
        fooled : float
            The decoder's adversarial loss.
        """
        ratio = (real + fake) / max(fooled, 1e-12)
        if ratio < STOP and self.discriminator:
            self.discriminator = False
        if ratio > START and not self.discriminator:
            self.discriminator = True
        if ratio > STOP_GENERATOR and self.generator:
            self.generator = False
        if ratio <= STOP_GENERATOR and not self.generator:
            self.generator = True


def discriminator(channels: int, widths: tuple[int, int, int, int, int] = (24, 48, 96, 128, 128)) -> nn.Sequential:
    """A network that tells photographs from a decoder's images: five convolutions, a mean over the map, two layers.

    The published one has 32, 64, 128, 256 and 256 channels for images of 256 pixels; this one is for about 96.

    Parameters
    ----------
    channels : int
        Channels of the image.
    widths : tuple of int
        Channels of the convolutions.

    Returns
    -------
    nn.Sequential
        Takes (N, channels, H, W) in units of about 1, gives (N, 2) scores: real, fake.
    """
    a, b, c, d, e = widths
    return nn.Sequential(
        nn.Conv2d(channels, a, 7, 4, 3),
        nn.LeakyReLU(0.2),
        nn.Conv2d(a, b, 5, padding=2),
        nn.LeakyReLU(0.2),
        nn.Conv2d(b, c, 3, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(c, d, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(d, e, 3, 2, 1),
        nn.LeakyReLU(0.2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(e, e),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.5),
        nn.Linear(e, 2),
    )
