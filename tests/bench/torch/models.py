# SPDX-License-Identifier: MIT
"""The networks of the bench, written down for PyTorch, and their export to ONNX.

    models.py DIR NAME...       writes DIR/NAME.onnx, parameters by seed 1

A network is made for training: batch normalisation by the batch, no dropout, so
that both sides compute the same function.  The batch dimension is dynamic.
"""
import os
import sys

import torch
from torch import nn
from torch.nn import functional


class LeNet(nn.Module):
    shape, classes = (1, 28, 28), 10

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 5, padding=2)
        self.c2 = nn.Conv2d(6, 16, 5)
        self.f1 = nn.Linear(400, 120)
        self.f2 = nn.Linear(120, 84)
        self.f3 = nn.Linear(84, 10)

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.c1(x)), 2)
        x = functional.avg_pool2d(torch.tanh(self.c2(x)), 2)
        x = torch.sigmoid(self.f1(x.flatten(1)))
        return self.f3(functional.relu(self.f2(x)))


class Block(nn.Module):
    def __init__(self, before, channels, stride):
        super().__init__()
        self.c1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.b1 = nn.BatchNorm2d(channels)
        self.c2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.b2 = nn.BatchNorm2d(channels)
        self.short = None
        if stride != 1 or before != channels:
            self.short = nn.Sequential(nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        y = self.b2(self.c2(functional.relu(self.b1(self.c1(x)))))
        return functional.relu(y + (x if self.short is None else self.short(x)))


class ResNet18(nn.Module):
    """He et al. 2016; for 32x32 images with a stem of one 3x3 convolution."""

    def __init__(self, size, width=64):
        super().__init__()
        self.shape, self.classes = (3, size, size), 10 if size < 100 else 1000
        if size < 100:
            self.stem = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        else:
            self.stem = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.b1 = nn.BatchNorm2d(width)
        self.pool = nn.Identity() if size < 100 else nn.MaxPool2d(3, 2, 1)
        blocks, before = [], width
        for stage in range(4):
            channels = width << stage
            blocks += [Block(before, channels, 2 if stage else 1), Block(channels, channels, 1)]
            before = channels
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(before, self.classes)

    def forward(self, x):
        x = self.blocks(self.pool(functional.relu(self.b1(self.stem(x)))))
        return self.fc(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class VGG16(nn.Module):
    """Simonyan and Zisserman 2015, configuration D."""

    shape, classes = (3, 224, 224), 1000

    def __init__(self):
        super().__init__()
        layers, before = [], 3
        for channels, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(count):
                layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU(inplace=True)]
                before = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(inplace=True), nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Linear(4096, 1000)
        )

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class InvertedResidual(nn.Module):
    def __init__(self, before, channels, stride, expansion):
        super().__init__()
        inner = before * expansion
        layers = []
        if expansion != 1:
            layers += [nn.Conv2d(before, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU6(inplace=True)]
        layers += [nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False), nn.BatchNorm2d(inner), nn.ReLU6(inplace=True)]
        layers += [nn.Conv2d(inner, channels, 1, bias=False), nn.BatchNorm2d(channels)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and before == channels

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


class MobileNetV2(nn.Module):
    """Sandler et al. 2018; for images of 32 pixels the first two reductions are left out."""

    def __init__(self, size=224, width=1, last=1280, classes=1000):
        super().__init__()
        self.shape, self.classes = (3, size, size), classes
        reduce = 1 if size == 32 else 2
        channels = lambda c: max(8, int(c * width + 4) // 8 * 8)
        before = channels(32)
        layers = [nn.Conv2d(3, before, 3, reduce, 1, bias=False), nn.BatchNorm2d(before), nn.ReLU6(inplace=True)]
        for t, c, n, s in ((1, 16, 1, 1), (6, 24, 2, reduce), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
            for i in range(n):
                layers.append(InvertedResidual(before, channels(c), 1 if i else s, t))
                before = channels(c)
        layers += [nn.Conv2d(before, last, 1, bias=False), nn.BatchNorm2d(last), nn.ReLU6(inplace=True)]
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(last, classes)

    def forward(self, x):
        return self.fc(functional.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


class Encoder(nn.Module):
    """A block of BERT: attention, feed-forward, normalised after each."""

    def __init__(self, width, heads, inner):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x):
        def split(y):
            return y.view(y.shape[0], y.shape[1], self.heads, -1).transpose(1, 2)

        q, k, v = split(self.query(x)), split(self.key(x)), split(self.value(x))
        scores = torch.softmax(q @ k.transpose(2, 3) / q.shape[3] ** 0.5, -1)
        x = self.norm1(x + self.out((scores @ v).transpose(1, 2).flatten(2)))
        return self.norm2(x + self.down(functional.gelu(self.up(x))))


class BERT(nn.Module):
    """Devlin et al. 2019, base: 12 blocks of 768, classified by the first token."""

    classes, vocabulary = 2, 30522

    def __init__(self, length=128, width=768, blocks=12, heads=12, inner=3072):
        super().__init__()
        self.shape = (length,)
        self.tokens = nn.Embedding(self.vocabulary, width)
        self.positions = nn.Parameter(torch.randn(length, width) * 0.02)
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.Sequential(*(Encoder(width, heads, inner) for _ in range(blocks)))
        self.fc = nn.Linear(width, self.classes)

    def forward(self, x):
        return self.fc(self.blocks(self.norm(self.tokens(x) + self.positions))[:, 0])


NETWORKS = {
    "lenet": LeNet,
    "resnet18_cifar_w16": lambda: ResNet18(32, 16),
    "resnet18_cifar": lambda: ResNet18(32),
    "resnet18": lambda: ResNet18(224),
    "vgg16": VGG16,
    "mobilenetv2": MobileNetV2,
    "mobilenetv2_cifar": lambda: MobileNetV2(32, 0.5, 640, 10),
    "bert": BERT,
}


def build(name):
    torch.manual_seed(1)
    return NETWORKS[name]()


def draw(model, batch):
    """Inputs and labels of a step: (x, label)."""
    generator = torch.Generator().manual_seed(2)
    if len(model.shape) == 1:
        x = torch.randint(0, model.vocabulary, (batch, *model.shape), generator=generator)
    else:
        x = torch.rand((batch, *model.shape), generator=generator) * 2 - 1
    return x, torch.randint(0, model.classes, (batch,), generator=generator)


def export(name, path):
    model = build(name)
    part = f"{path}.{os.getpid()}"
    torch.onnx.export(
        model, draw(model, 2)[0], part, training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
        opset_version=13, input_names=["input"], output_names=["output"],
        dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
    )
    os.rename(part, path)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    for name in sys.argv[2:]:
        if name not in NETWORKS:
            sys.exit(f"{name}: expected one of {', '.join(NETWORKS)}")
        export(name, os.path.join(sys.argv[1], name + ".onnx"))


if __name__ == "__main__":
    main()
