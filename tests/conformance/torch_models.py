#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Gradients of the networks that people have, as PyTorch's exporter writes them.

    torch_models.py BUILD [--opset N]... [NETWORK...]

BUILD is Weft's build directory.  Each network is a small one of its kind, made
from a seed, exported for training at each opset (default: 11, 13, 15 and 17), and
its gradients are held against PyTorch's: the norm of the difference over the norm,
all parameters as one vector, is at most 1e-4.  Then it is exported as for
inference, with its constants folded, and must train a step as well.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import warnings

import numpy
import torch
from torch import nn
from torch.nn import functional

TOLERANCE = 1e-4
BATCH = 4


def convolution(before, after, side=3, stride=1, groups=1, activation=nn.ReLU):
    layers = [nn.Conv2d(before, after, side, stride, side // 2, groups=groups, bias=False), nn.BatchNorm2d(after)]
    return nn.Sequential(*layers, *([activation()] if activation else []))


class VGG16(nn.Module):
    def __init__(self):
        super().__init__()
        layers, before = [], 3
        for width in (8, 8, "M", 16, 16, "M", 24, 24, 24, "M", 32, 32, 32, "M", 32, 32, 32, "M"):
            if width == "M":
                layers.append(nn.MaxPool2d(2, 2))
            else:
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU(inplace=True)]
                before = width
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.classifier = nn.Sequential(nn.Linear(32, 48), nn.ReLU(True), nn.Dropout(0), nn.Linear(48, 10))

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class Residual(nn.Module):
    def __init__(self, before, after, stride, bottleneck):
        super().__init__()
        if bottleneck:
            inner = after // 4
            self.path = nn.Sequential(convolution(before, inner, 1), convolution(inner, inner, 3, stride),
                                      convolution(inner, after, 1, activation=None))
        else:
            self.path = nn.Sequential(convolution(before, after, 3, stride), convolution(after, after, activation=None))
        self.short = convolution(before, after, 1, stride, activation=None) if stride > 1 or before != after else nn.Identity()

    def forward(self, x):
        return functional.relu(self.path(x) + self.short(x))


class ResNet(nn.Module):
    side = 64

    def __init__(self, blocks, bottleneck):
        super().__init__()
        layers, before = [convolution(3, 8, 7, 2), nn.MaxPool2d(3, 2, 1)], 8
        for stage, count in enumerate(blocks):
            width = (32 if bottleneck else 8) << stage
            for i in range(count):
                layers.append(Residual(before, width, 2 if stage and not i else 1, bottleneck))
                before = width
        self.layers, self.fc = nn.Sequential(*layers), nn.Linear(before, 10)

    def forward(self, x):
        return self.fc(torch.flatten(functional.adaptive_avg_pool2d(self.layers(x), 1), 1))


class Squeeze(nn.Module):
    def __init__(self, width, inner, first, gate):
        super().__init__()
        self.down, self.up, self.first, self.gate = nn.Conv2d(width, inner, 1), nn.Conv2d(inner, width, 1), first(), gate()

    def forward(self, x):
        return x * self.gate(self.up(self.first(self.down(x.mean((2, 3), keepdim=True)))))


class Inverted(nn.Module):
    def __init__(self, before, after, stride, expand, side, activation, squeeze):
        super().__init__()
        inner = before * expand
        layers = [convolution(before, inner, 1, activation=activation)] if expand > 1 else []
        layers.append(convolution(inner, inner, side, stride, inner, activation))
        if squeeze:
            layers.append(Squeeze(inner, max(inner // 4, 4), *squeeze))
        layers.append(convolution(inner, after, 1, activation=None))
        self.layers, self.residual = nn.Sequential(*layers), stride == 1 and before == after

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


class Mobile(nn.Module):
    """MobileNetV2 and V3, EfficientNet and its lite form, by activation and squeeze."""

    def __init__(self, activation, squeeze=None):
        super().__init__()
        layers, before = [convolution(3, 8, 3, 2, activation=activation)], 8
        for after, stride, expand, side in ((8, 1, 1, 3), (12, 2, 6, 3), (12, 1, 6, 3), (16, 2, 4, 5), (16, 1, 4, 5)):
            layers.append(Inverted(before, after, stride, expand, side, activation, squeeze))
            before = after
        layers.append(convolution(before, 32, 1, activation=activation))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0), nn.Linear(32, 10))

    def forward(self, x):
        return self.classifier(self.features(x).mean([2, 3]))


class UNet(nn.Module):
    def __init__(self, transposed):
        super().__init__()

        def double(before, after):
            return nn.Sequential(convolution(before, after), convolution(after, after))

        self.down1, self.down2, self.bottom = double(3, 8), double(8, 16), double(16, 32)
        if transposed:
            self.up2, self.up1 = nn.ConvTranspose2d(32, 16, 2, 2), nn.ConvTranspose2d(16, 8, 2, 2)
        else:
            def up(before, after):
                return nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), nn.Conv2d(before, after, 1))

            self.up2, self.up1 = up(32, 16), up(16, 8)
        self.join2, self.join1, self.out = double(32, 16), double(16, 8), nn.Conv2d(8, 10, 1)

    def forward(self, x):
        one = self.down1(x)
        two = self.down2(functional.max_pool2d(one, 2))
        low = self.bottom(functional.max_pool2d(two, 2))
        two = self.join2(torch.cat([self.up2(low), two], 1))
        one = self.join1(torch.cat([self.up1(two), one], 1))
        return self.out(one).permute(0, 2, 3, 1).reshape(-1, 10)


class Recurrent(nn.Module):
    vocabulary = 50

    def __init__(self, kind, **options):
        super().__init__()
        self.embedding = nn.Embedding(self.vocabulary, 12)
        self.layers = kind(12, 16, batch_first=True, **options)
        self.fc = nn.Linear(32 if options.get("bidirectional") else 16, 10)

    def forward(self, x):
        return self.fc(self.layers(self.embedding(x))[0][:, -1])


class Attention(nn.Module):
    def __init__(self, width, heads, causal=False):
        super().__init__()
        self.qkv, self.out, self.heads, self.causal = nn.Linear(width, 3 * width), nn.Linear(width, width), heads, causal
        self.register_buffer("mask", torch.tril(torch.ones(16, 16)).view(1, 1, 16, 16))

    def forward(self, x):
        n, length, width = x.shape
        q, k, v = self.qkv(x).split(width, dim=2)
        q, k, v = (y.view(n, length, self.heads, width // self.heads).transpose(1, 2) for y in (q, k, v))
        scores = (q @ k.transpose(-2, -1)) * (1.0 / (width // self.heads) ** 0.5)
        if self.causal:
            scores = scores.masked_fill(self.mask[:, :, :length, :length] == 0, float("-inf"))
        y = functional.softmax(scores, dim=-1) @ v
        return self.out(y.transpose(1, 2).contiguous().view(n, length, width))


class Block(nn.Module):
    """Normalised before each half, as GPT-2 and ViT have it."""

    def __init__(self, width, heads, causal, gelu):
        super().__init__()
        self.ln1, self.ln2, self.attention = nn.LayerNorm(width), nn.LayerNorm(width), Attention(width, heads, causal)
        self.up, self.down, self.gelu = nn.Linear(width, 4 * width), nn.Linear(4 * width, width), gelu

    def forward(self, x):
        x = x + self.attention(self.ln1(x))
        return x + self.down(self.gelu(self.up(self.ln2(x))))


def gelu_written_out(x):
    return 0.5 * x * (1.0 + torch.tanh((2 / 3.141592653589793) ** 0.5 * (x + 0.044715 * torch.pow(x, 3.0))))


class GPT(nn.Module):
    vocabulary, length = 40, 12

    def __init__(self, tied):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(self.vocabulary, 32), nn.Embedding(self.length, 32)
        self.blocks = nn.Sequential(*(Block(32, 4, True, gelu_written_out) for _ in range(2)))
        self.ln, self.head = nn.LayerNorm(32), nn.Linear(32, self.vocabulary, bias=False)
        if tied:
            self.head.weight = self.tokens.weight

    def forward(self, x):
        positions = torch.arange(0, x.shape[1]).unsqueeze(0)
        y = self.blocks(self.tokens(x) + self.positions(positions))
        return self.head(self.ln(y)).view(-1, self.vocabulary)


class BERT(nn.Module):
    """As its authors publish it: three embeddings, a mask from the tokens, a pooler."""

    vocabulary, length = 60, 10

    def __init__(self):
        super().__init__()
        width = 32
        self.words, self.positions, self.types = nn.Embedding(60, width, 0), nn.Embedding(16, width), nn.Embedding(2, width)
        self.norm, self.dropout = nn.LayerNorm(width, eps=1e-12), nn.Dropout(0)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down, self.norm1, self.norm2 = nn.Linear(width, 64), nn.Linear(64, width), nn.LayerNorm(width, 1e-12), nn.LayerNorm(width, 1e-12)
        self.pooler, self.classifier = nn.Linear(width, width), nn.Linear(width, 12)
        self.register_buffer("position_ids", torch.arange(16).expand((1, -1)))

    def split(self, x):
        return x.view(x.size()[:-1] + (4, 8)).permute(0, 2, 1, 3)

    def forward(self, x):
        mask = (1.0 - (x != 0).to(torch.float32)[:, None, None, :]) * -10000.0
        y = self.words(x) + self.types(torch.zeros_like(x)) + self.positions(self.position_ids[:, : x.size(1)])
        y = self.dropout(self.norm(y))
        q, k, v = self.split(self.query(y)), self.split(self.key(y)), self.split(self.value(y))
        scores = torch.matmul(q, k.transpose(-1, -2)) / 8**0.5 + mask
        z = torch.matmul(self.dropout(nn.Softmax(dim=-1)(scores)), v).permute(0, 2, 1, 3).contiguous()
        y = self.norm1(self.dropout(self.out(z.view(z.size()[:-2] + (32,)))) + y)
        y = self.norm2(self.down(functional.gelu(self.up(y))) + y)
        return self.classifier(torch.tanh(self.pooler(y[:, 0])))


class LibraryEncoder(nn.Module):
    """torch.nn.TransformerEncoder."""

    vocabulary = 60

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(60, 24)
        layer = nn.TransformerEncoderLayer(24, 3, 48, 0.0, "gelu", batch_first=True)
        self.encoder, self.fc = nn.TransformerEncoder(layer, 2), nn.Linear(24, 11)

    def forward(self, x):
        return self.fc(self.encoder(self.words(x)).mean(1))


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 8, 8)
        self.token, self.positions = nn.Parameter(torch.randn(1, 1, 32) * 0.02), nn.Parameter(torch.randn(1, 17, 32) * 0.02)
        self.blocks = nn.Sequential(*(Block(32, 4, False, nn.GELU()) for _ in range(2)))
        self.ln, self.head = nn.LayerNorm(32, eps=1e-6), nn.Linear(32, 10)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(x.shape[0], -1, -1), x), dim=1) + self.positions
        return self.head(self.ln(self.blocks(x))[:, 0])


class ConvNeXt(nn.Module):
    """Convolutions with a layer norm over the channels, and a learned scale."""

    def __init__(self):
        super().__init__()
        self.stem, self.depth = nn.Conv2d(3, 16, 4, 4), nn.Conv2d(16, 16, 7, padding=3, groups=16)
        self.norm, self.up, self.down = nn.LayerNorm(16, eps=1e-6), nn.Linear(16, 64), nn.Linear(64, 16)
        self.scale, self.fc = nn.Parameter(0.1 * torch.ones(16)), nn.Linear(16, 10)

    def forward(self, x):
        x = self.stem(x)
        y = self.depth(x).permute(0, 2, 3, 1)
        y = self.scale * self.down(functional.gelu(self.up(self.norm(y))))
        return self.fc((x + y.permute(0, 3, 1, 2)).mean([-2, -1]))


NETWORKS = {
    "vgg16": VGG16,
    "resnet18": lambda: ResNet((2, 2, 2, 2), False),
    "resnet50": lambda: ResNet((3, 4, 6, 3), True),
    "mobilenetv2": lambda: Mobile(nn.ReLU6),
    "mobilenetv3": lambda: Mobile(nn.Hardswish, (nn.ReLU, nn.Hardsigmoid)),
    "efficientnet": lambda: Mobile(nn.SiLU, (nn.SiLU, nn.Sigmoid)),
    "unet": lambda: UNet(True),
    "unet-bilinear": lambda: UNet(False),
    "lstm": lambda: Recurrent(nn.LSTM, num_layers=2),
    "lstm-both-ways": lambda: Recurrent(nn.LSTM, bidirectional=True),
    "gru": lambda: Recurrent(nn.GRU, num_layers=2),
    "rnn": lambda: Recurrent(nn.RNN),
    "bert": BERT,
    "transformer-encoder": LibraryEncoder,
    "gpt": lambda: GPT(False),
    "gpt-tied": lambda: GPT(True),
    "vit": ViT,
    "convnext": ConvNeXt,
}


def make(name):
    torch.manual_seed(7)
    model = NETWORKS[name]().train()
    if hasattr(model, "vocabulary"):
        x = torch.randint(1, model.vocabulary, (BATCH, getattr(model, "length", 9)))
        x[1, -2:] = 0
    else:
        x = torch.randn(BATCH, 3, getattr(model, "side", 32), getattr(model, "side", 32))
    return model, x


def export(model, x, opset, path, training):
    # Running statistics change while the exporter traces.
    state = {key: value.clone() for key, value in model.state_dict().items()}
    mode = torch.onnx.TrainingMode.TRAINING if training else torch.onnx.TrainingMode.EVAL
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, x, path, opset_version=opset, training=mode, do_constant_folding=not training,
                          input_names=["input"], output_names=["output"])
    model.load_state_dict(state)
    model.train()


def torch_gradients(model, x, label):
    model.zero_grad(set_to_none=True)
    functional.cross_entropy(model(x), label).backward()
    return {name: p.grad.numpy().astype(numpy.float64) for name, p in model.named_parameters()}


def weft_gradients(program, path, x, label, work):
    files = [os.path.join(work, what) for what in ("input", "label", "gradients")]
    x.numpy().tofile(files[0])
    label.numpy().astype(numpy.int32).tofile(files[1])
    done = subprocess.run([program, path, str(BATCH), "1", *files], stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or f"ended with status {done.returncode}")
    found = {}
    with open(files[2], "rb") as file:
        while line := file.readline():
            name, size = line.decode().rsplit(" ", 1)
            found[name] = numpy.frombuffer(file.read(int(size)), numpy.float32).astype(numpy.float64)
    return found


def distance(a, b):
    return (sum(((a[name] - b[name]) ** 2).sum() for name in b) / sum((v**2).sum() for v in b.values())) ** 0.5


def flat(gradients):
    return {name: value.ravel() for name, value in gradients.items()}


def check_training(programs, name, opset, work):
    model, x = make(name)
    with torch.no_grad():
        logits = NETWORKS[name]()(x)
    label = torch.randint(0, logits.shape[1], (logits.shape[0],))
    path = os.path.join(work, "model.onnx")
    export(model, x, opset, path, True)
    theirs = flat(torch_gradients(model, x, label))
    ours = weft_gradients(os.path.join(programs, "bench-gradients"), path, x, label, work)
    missing = [parameter for parameter in theirs if parameter not in ours]
    if missing:
        raise RuntimeError(f"no gradient of {', '.join(missing)}")
    error = distance(ours, theirs)
    if error > TOLERANCE:
        # A ReLU near zero may decide otherwise in any single precision: then PyTorch's own error is the measure.
        exact = flat(torch_gradients(make(name)[0].double(), x.double() if x.is_floating_point() else x, label))
        own = distance(theirs, exact)
        if distance(ours, exact) > max(TOLERANCE, 2 * own):
            raise RuntimeError(f"gradient off by {error:.1e}, PyTorch's own by {own:.1e}")
    return error


def check_inference_export(programs, name, opset, work):
    model, x = make(name)
    path = os.path.join(work, "model.onnx")
    export(model.eval(), x, opset, path, False)
    command = [os.path.join(programs, "bench-step"), path, str(BATCH), "sgd", "1", "1", "1"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"exported for inference: {done.stderr.strip() or done.returncode}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--opset", type=int, action="append")
    options = parser.parse_args()
    programs = os.path.join(options.build, "tests/bench/torch")
    torch.set_num_threads(1)
    failures = checks = 0
    for name in options.networks or NETWORKS:
        if name not in NETWORKS:
            sys.exit(f"{name}: expected one of {', '.join(NETWORKS)}")
        for opset in options.opset or (11, 13, 15, 17):
            checks += 1
            try:
                with tempfile.TemporaryDirectory() as work:
                    error = check_training(programs, name, opset, work)
                    check_inference_export(programs, name, opset, work)
                print(f"ok      {name}, opset {opset}: gradient off PyTorch's by {error:.1e}", flush=True)
            except RuntimeError as problem:
                failures += 1
                print(f"FAILED  {name}, opset {opset}: {problem}", flush=True)
    print(f"{checks - failures} of {checks} exports agree with PyTorch")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
