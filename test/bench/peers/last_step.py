#!/usr/bin/env python3
"""What PyTorch on the CPU takes for one optimizer step: the other side of `npm run bench:peers`.

usage: last_step.py info | check
       last_step.py plain|low_rank|lora SHAPE BATCH STEPS     SHAPE: vit_tiny | vit_b

info    version, BLAS and GFLOP/s of a 1024 x 1024 float32 matrix product
check   the plain and the low-rank form of LAST have the same loss and gradients (float64)
else    forward, backward and AdamW, STEPS times; threads come from OMP_NUM_THREADS

LAST: rank 8, 12 groups of one module, CLS pooled, 10 classes; fp16 stored features, cast to fp32 map by map.
LoRA: rank 8 on q and v of all blocks of a ViT, from pixels.
Prints one JSON line; for a step {"ms": [...], "coreMs": [...], "peakRssBytes": n, "images": n, "loss": x}.
"""
import json
import math
import os
import sys
import time

import torch
import torch.nn.functional as F

SHAPES = {"vit_tiny": (197, 192), "vit_b": (197, 768)}
GROUPS, RANK, CLASSES, EPSILON = 12, 8, 10, 1e-6
THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))


def peak_rss_bytes():
    """VmHWM where /proc has it: unlike ru_maxrss it does not start from the parent's."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


# LAST, two ways. Parameters: per module LN scale and shift [d], W [d, 3r] (Q, K, V side by side), O [r, d]; then the
# head. The final LayerNorm is the backbone's, frozen.


def last_parameters(width, dtype=torch.float32):
    def parameter(*shape, std):
        return (torch.randn(*shape, dtype=dtype) * std).requires_grad_()

    modules = [
        (
            torch.ones(width, dtype=dtype).requires_grad_(),
            torch.zeros(width, dtype=dtype).requires_grad_(),
            parameter(width, 3 * RANK, std=width**-0.5),
            parameter(RANK, width, std=1e-2),
        )
        for _ in range(GROUPS)
    ]
    head = (parameter(CLASSES, width, std=1e-2), torch.zeros(CLASSES, dtype=dtype).requires_grad_())
    return modules, head


def attention(q, k, v):
    return torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(RANK), -1) @ v


def last_loss(pooled, head, labels):
    return F.cross_entropy(F.linear(F.layer_norm(pooled, pooled.shape[-1:], eps=EPSILON), *head), labels)


def plain_loss(maps, modules, head, labels):
    """Straightforward: u_i = F_i(u_{i-1} + t_i), h = u_m - sum of t_0 .. t_{m-1}. maps: t_0 .. t_m, each [b, n, d]."""
    dtype = head[0].dtype
    u = total = maps[0].to(dtype)
    for i, (scale, shift, w, o) in enumerate(modules):
        t = maps[i + 1].to(dtype)
        x = u + t
        q, k, v = (F.layer_norm(x, x.shape[-1:], scale, shift, EPSILON) @ w).split(RANK, -1)
        u = x + attention(q, k, v) @ o
        if i + 1 < len(modules):
            total = total + t
    return last_loss((u - total)[:, 0], head, labels)


def low_rank_loss(maps, sums, squares, base, modules, head, labels):
    """The same without a state of n x d: x_i = P_i + sum_j A_j O_j, so LN(x_i) W follows from P_i [W, O_j^T], from
    the A_j and from small products of the O_j. maps: P_1 .. P_m; sums, squares: their row sums and row square sums
    [m, b, n, 1]; base: CLS row of t_m [b, d]."""
    dtype, width = head[0].dtype, base.shape[-1]
    a = o_all = None
    for i, (scale, shift, w, o) in enumerate(modules):
        folded = scale[:, None] * w
        centred = folded - folded.mean(0)
        p = maps[i].to(dtype)
        total, square = sums[i], squares[i]
        if a is None:
            projected = p @ centred
        else:
            both = p @ torch.cat([centred, o_all.T], 1)
            small = a @ torch.cat([o_all @ centred, o_all @ o_all.T, o_all.sum(1, keepdim=True)], 1)
            projected = both[..., : 3 * RANK] + small[..., : 3 * RANK]
            total = total + small[..., -1:]
            square = square + (a * (2 * both[..., 3 * RANK :] + small[..., 3 * RANK : -1])).sum(-1, keepdim=True)
        mean = total / width
        rstd = torch.rsqrt(square / width - mean * mean + EPSILON)
        q, k, v = (rstd * projected + shift @ w).split(RANK, -1)
        if i + 1 == len(modules):
            q = q[:, :1]  # of the last increment only the pooled row is needed
            a = torch.cat([attention(q, k, v), a[:, :1]], -1)
            o_all = torch.cat([o, o_all])
        else:
            increment = attention(q, k, v)
            a = increment if a is None else torch.cat([a, increment], -1)
            o_all = o if o_all is None else torch.cat([o_all, o])
    return last_loss(base + (a @ o_all)[:, 0], head, labels)


def stored(taps, dtype):
    """What the low-rank form reads: cumulative maps as stored, their row statistics, the CLS row of the last tap."""
    maps = [t.to(dtype) for t in torch.stack(taps).double().cumsum(0)[1:]]
    rows = torch.stack([p.double().sum(-1, keepdim=True) for p in maps])
    squares = torch.stack([p.double().square().sum(-1, keepdim=True) for p in maps])
    return maps, rows, squares


def flatten(modules, head):
    return [tensor for module in modules for tensor in module] + list(head)


def check():
    torch.manual_seed(1)
    taps = [torch.randn(3, 17, 48, dtype=torch.float64) * 0.5 for _ in range(GROUPS + 1)]
    labels = torch.arange(3)
    modules, head = last_parameters(48, torch.float64)
    with torch.no_grad():
        for _, shift, _, o in modules:  # nothing may hide behind a zero or a small factor
            shift.copy_(torch.randn_like(shift))
            o.copy_(torch.randn_like(o))
    maps, rows, squares = stored(taps, torch.float64)
    losses = [
        plain_loss(taps, modules, head, labels),
        low_rank_loss(maps, rows, squares, taps[-1][:, 0], modules, head, labels),
    ]
    gradients = [torch.autograd.grad(loss, flatten(modules, head)) for loss in losses]
    worst = max(float((a - b).norm() / a.norm()) for a, b in zip(*gradients))
    assert abs(losses[0] - losses[1]) < 1e-10, f"losses differ: {[float(loss) for loss in losses]}"
    assert worst < 1e-8, f"gradients differ by {worst} of their norm"
    return {"loss": float(losses[0]), "worstRelativeGradient": worst}


# LoRA, for scale: a plain ViT from pixels, everything frozen but the low-rank matrices and the head.


class Block(torch.nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = torch.nn.LayerNorm(width, 1e-6), torch.nn.LayerNorm(width, 1e-6)
        self.qkv, self.out = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.up, self.down = torch.nn.Linear(width, 4 * width), torch.nn.Linear(4 * width, width)
        self.requires_grad_(False)
        self.lora_a = torch.nn.ParameterList([torch.nn.Parameter(torch.randn(RANK, width) * 0.02) for _ in "qv"])
        self.lora_b = torch.nn.ParameterList([torch.nn.Parameter(torch.zeros(width, RANK)) for _ in "qv"])

    def forward(self, x):
        batch, tokens, width = x.shape
        y = self.norm1(x)
        q, k, v = self.qkv(y).chunk(3, -1)
        q = q + F.linear(F.linear(y, self.lora_a[0]), self.lora_b[0])
        v = v + F.linear(F.linear(y, self.lora_a[1]), self.lora_b[1])
        q, k, v = (z.view(batch, tokens, self.heads, -1).transpose(1, 2) for z in (q, k, v))
        if hasattr(F, "scaled_dot_product_attention"):
            mixed = F.scaled_dot_product_attention(q, k, v)
        else:
            mixed = torch.softmax(q @ k.transpose(-1, -2) * (width // self.heads) ** -0.5, -1) @ v
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Lora(torch.nn.Module):
    def __init__(self, tokens, width):
        super().__init__()
        self.patch = torch.nn.Conv2d(3, width, 16, 16).requires_grad_(False)
        self.register_buffer("cls", torch.zeros(1, 1, width))
        self.register_buffer("position", torch.randn(1, tokens, width) * 0.02)
        self.blocks = torch.nn.Sequential(*[Block(width, width // 64) for _ in range(12)])
        self.norm = torch.nn.LayerNorm(width, 1e-6).requires_grad_(False)
        self.head = torch.nn.Linear(width, CLASSES)

    def forward(self, pixels):
        x = self.patch(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.position
        return self.head(self.norm(self.blocks(x)[:, 0]))


def loss_function(form, shape, batch):
    """() -> loss, and the tensors it trains; inputs are made once and kept as they would be stored."""
    tokens, width = SHAPES[shape]
    labels = torch.randint(0, CLASSES, (batch,))
    if form == "lora":
        model, pixels = Lora(tokens, width), torch.randn(batch, 3, 224, 224)
        return lambda: F.cross_entropy(model(pixels), labels), [p for p in model.parameters() if p.requires_grad]
    modules, head = last_parameters(width)
    if form == "plain":
        taps = [torch.randn(batch, tokens, width).half() for _ in range(GROUPS + 1)]
        return lambda: plain_loss(taps, modules, head, labels), flatten(modules, head)
    # Row statistics are made map by map: the peak must be the step's, not that of preparing its input.
    state, maps, rows, squares = torch.randn(batch, tokens, width), [], [], []
    for _ in range(GROUPS):
        tap = torch.randn(batch, tokens, width)
        state += tap
        maps.append(state.half())
        rows.append(maps[-1].float().sum(-1, keepdim=True))
        squares.append(maps[-1].float().square().sum(-1, keepdim=True))
    base = tap[:, 0].clone()
    return lambda: low_rank_loss(maps, rows, squares, base, modules, head, labels), flatten(modules, head)


def measure(form, shape, batch, steps):
    torch.manual_seed(1)
    loss_of, parameters = loss_function(form, shape, batch)
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.05},
            {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
        ],
        lr=1e-3,
    )

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of()
        loss.backward()
        optimizer.step()
        return float(loss)

    ms, core_ms = [], []
    for _ in range(steps + (1 if form == "lora" else 2)):
        wall, core = time.perf_counter(), time.process_time()
        loss = step()
        ms.append(1000 * (time.perf_counter() - wall))
        core_ms.append(1000 * (time.process_time() - core))
    assert math.isfinite(loss)
    return {
        "ms": ms[-steps:],
        "coreMs": core_ms[-steps:],
        "peakRssBytes": peak_rss_bytes(),
        "images": batch,
        "loss": loss,
    }


def blas():
    """The library that does the products: what is mapped tells the truth, the build settings only the intention."""
    try:
        with open("/proc/self/maps") as maps:
            files = {os.path.realpath(line.split()[-1]) for line in maps if line.split()[-1].startswith("/")}
    except OSError:
        files = set()
    names = sorted(
        "/".join(file.split("/")[-2:]) for file in files if any(w in file.lower() for w in ("blas", "mkl_core", "mkl_rt"))
    )
    return ", ".join(names) or ("MKL" if torch.backends.mkl.is_available() else "unknown")


def info():
    size, best = 1024, math.inf
    a, b = torch.randn(size, size), torch.randn(size, size)
    for _ in range(30):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return {"version": torch.__version__, "blas": blas(), "threads": THREADS, "gflops": 2 * size**3 / best / 1e9}


if __name__ == "__main__":
    torch.set_num_threads(THREADS)
    what = sys.argv[1]
    if what in ("info", "check"):
        result = {"info": info, "check": check}[what]()
    else:
        result = measure(what, sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    print(json.dumps(result))
