# %% [markdown]
# # One step of momentum is a parallelogram
#
# Momentum (动量) adds two arrows: a part of the last step, and the step down the slope. The notes
# call their sum a *compromise* (折中) of the two. Is it one, in direction and in length?
#
# Gradient descent (梯度下降) goes against the gradient: θ¹ = θ⁰ − ηg⁰. It "uses only the previous
# direction", say the notes. Momentum adds the last step to that, as arrows are added, by the
# parallelogram rule (平行四边形法则). With m⁰ = 0:
#
# $$m^t = \lambda m^{t-1} - \eta g^{t-1}, \qquad \theta^t = \theta^{t-1} + m^t.$$
#
# The picture suggests a compromise: the diagonal lies between the two sides. Is it also no longer
# than the longer side?

# %%
import sys
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.animation import FuncAnimation

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent.parent))  # what the examples share
import evidence

# %% [markdown]
# The landscape is a ravine, ten times as steep across as along: L = ½(0.1 w₁² + w₂²). Its gradient
# is known without differentiating: g = (0.1 w₁, w₂).

# %%
CURVATURE = np.array([0.1, 1.0])
LR, MOMENTUM, STEPS = 1.8, 0.5, 30


def ravine(w1, w2):
    return (CURVATURE[0] * w1**2 + CURVATURE[1] * w2**2) / 2


def flat(arrays):
    return np.concatenate([array.ravel() for array in arrays])


def walk(loss, optimizer, steps):
    """Return every position, and the gradient at each but the last."""
    positions, gradients = [flat(param.numpy() for param in optimizer.params)], []
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        gradients.append(flat(param.grad.numpy() for param in optimizer.params))
        optimizer.step()
        positions.append(flat(param.numpy() for param in optimizer.params))
    return np.array(positions), np.array(gradients)


def walk_ravine(momentum, start=(-9.0, 2.6), steps=STEPS):
    """Walk with Momentum, or with SGD if `momentum` is None."""
    θ = tg.Tensor(start, requires_grad=True)
    optimizer = tg.SGD([θ], LR) if momentum is None else tg.Momentum([θ], LR, momentum)
    return walk(lambda: ravine(θ[0], θ[1]), optimizer, steps)[0]


# %% [markdown]
# ## Gradient descent has no memory
#
# If the step is −ηg at the present point, two things follow. It can be computed from the point
# alone. And a ball that was just put there, with no past, makes the same step as one that has come
# a long way. In the formula's index the present point is θᵗ⁻¹, so its gradient is "the one before";
# a reader who takes this for the gradient one *step* earlier finds no such step.

# %%
descent = walk_ravine(None)
steps, slopes, size = np.diff(descent, axis=0), CURVATURE * descent[:-1], np.abs(descent).max()
here = np.abs(steps + LR * slopes).max() / size
earlier = np.abs(steps[1:] + LR * slopes[:-1]).max() / size
print(f"step = −ηg of the present point: off by {here:.0e}; of one step earlier: by {earlier:.2f}")


def effect_of_the_past(momentum, at=5):
    """Compare the next step of a ball on its way with that of one put there at rest."""
    path = walk_ravine(momentum)
    rested = walk_ravine(momentum, start=path[at])
    return np.linalg.norm(path[at + 1] - rested[1])


past_of_sgd, past_of_momentum = effect_of_the_past(None), effect_of_the_past(MOMENTUM)
print(f"The past changes the sixth step by {past_of_sgd:g}; with momentum {past_of_momentum:.2g}")

# %% [markdown]
# ## Momentum adds the last step
#
# From the positions alone: is each step λ times the last one, plus −ηg? Once in the ravine, and
# once on a network of 2410 weights that learns the digits in batches of 32, in float64.


# %%
def sides(positions, gradients, lr, momentum):
    """Return λ · the last step, −ηg, and the step; m⁰ = 0 was no step."""
    step = np.diff(positions, axis=0)
    return momentum * np.vstack([0 * step[:1], step[:-1]]), -lr * gradients, step


model = tg.nn.perceptron(64, 32, 10, seed=0, dtype="float64")
batches = iter(tg.DataLoader(tg.datasets.digits()[0], batch_size=32, shuffle=True, seed=0))


def digits_loss():
    images, labels = next(batches)
    return tg.cross_entropy(model(images), labels)


heavy = walk_ravine(MOMENTUM)
learned, gradients = walk(digits_loss, tg.Momentum(model.parameters(), 0.1, 0.9), 40)
runs = {
    "ravine": sides(heavy, CURVATURE * heavy[:-1], LR, MOMENTUM),
    "digits": sides(learned, gradients, 0.1, 0.9),
}

# %% [markdown]
# And is it a compromise? In direction: then the two angles at the diagonal add up to the angle
# between the sides. In length: then the step is no shorter than the shorter side, and no longer
# than the longer one.


# %%
def angle(first, second):
    """Return the angle of each pair of arrows (Kahan's formula, exact for small ones, too)."""
    first, second = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (first, second))
    apart, together = (np.linalg.norm(a, axis=1) for a in (first - second, first + second))
    return 2 * np.arctan2(apart, together)


errors, direction, length = {}, {}, {}
for name, path in {"ravine": heavy, "digits": learned}.items():
    kept, pull, step = runs[name]
    errors[name] = np.abs(kept + pull - step).max() / np.abs(path).max()
    kept, pull, step = kept[1:], pull[1:], step[1:]  # the first step has no last one
    split = angle(kept, step) + angle(step, pull) - angle(kept, pull)
    direction[name] = np.mean(np.abs(split) < 1e-6)
    lengths = np.linalg.norm([kept, pull, step], axis=2)
    low, high = lengths[:2].min(axis=0), lengths[:2].max(axis=0)
    length[name] = np.mean((low <= lengths[2]) & (lengths[2] <= high))
    print(
        f"{name}: step = λ · last step − ηg, off by {errors[name]:.0e}. The direction lies between "
        f"in {direction[name]:.0%} of the steps, the length in {length[name]:.0%}"
    )

# %% [markdown]
# The lecture's picture, with its arrows measured: blue is −ηg, the step that SGD would make here;
# dotted is what is kept of the last step; orange is their sum. On the right the three lengths, on
# the digits: the sum is longer than either (the gray band) as long as the gradients agree.


# %% plot
def contours(axes):
    w1, w2 = np.meshgrid(np.linspace(-10, 3, 80), np.linspace(-4.8, 3.4, 80))
    levels = np.arange(0.1, 2.8, 0.35) ** 2
    axes.contour(w1, w2, ravine(w1, w2), levels=levels, colors="gray", alpha=0.4)
    axes.plot(0, 0, "+", color="gray")
    axes.set(aspect="equal", xticks=[], yticks=[], xlabel="w₁", ylabel="w₂")


def arrows(axes, place):
    """Draw the parallelogram of one step in the ravine."""
    for change, color, style in zip(
        (side[place] for side in runs["ravine"]), ("gray", "C0", "C1"), (":", "-", "-")
    ):
        shape = {"arrowstyle": "->", "shrinkA": 0, "shrinkB": 0, "lw": 1.8, "ls": style}
        start = heavy[place]
        yield axes.annotate("", start + change, start, arrowprops=shape | {"color": color})


def draw_parallelograms():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.1), width_ratios=[1.7, 1])
    contours(left)
    for place in range(4):
        list(arrows(left, place))
        kept, pull, step = (heavy[place] + side[place] for side in runs["ravine"])
        left.plot(*np.transpose([kept, step, pull]), ":", color="gray", lw=1)
    left.text(-6.25, 0.2, "−ηg", color="C0")
    left.text(-6.3, -4.3, "λ · last step", color="gray")
    left.text(-5.9, -2.2, "the step", color="C1")
    for line, color, style in zip(lengths, ("gray", "C0", "C1"), (":", "-", "-")):
        right.plot(range(2, 41), line, style, color=color)
    right.fill_between(range(2, 41), low, high, color="gray", alpha=0.2, lw=0)
    right.set(xlabel="update", ylabel="length, on the digits", ylim=0)
    return figure


evidence.save(
    "parallelogram",
    draw_parallelograms,
    caption="Left, four steps in a ravine: what is kept of the last step (dotted), the step down "
    "the slope (blue) and their sum (orange). Right, the three lengths on the digits: where the "
    "gradients agree, the sum is longer than both.",
    alt="Left: parallelograms of arrows in a ravine, each diagonal between its two sides. Right: "
    f"three lengths over 40 updates; the sum lies within the other two in {length['digits']:.0%} "
    "of them.",
    lead=True,
)


# %% plot
def draw_race():
    figure, panels = plt.subplots(1, 2, figsize=(7.5, 2.5))
    for axes, title in zip(panels, ("SGD", "Momentum")):
        contours(axes)
        axes.set_title(title)
    lines = [axes.plot([], [], "o-", color=f"C{n}", lw=1)[0] for n, axes in enumerate(panels)]
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the layout stays, so the frames are drawn fast
    drawn = []

    def show(frame):
        for line, path in zip(lines, (descent, heavy)):
            line.set_data(*path[: frame + 1].T)
        while drawn:
            drawn.pop().remove()
        drawn.extend(arrows(panels[1], frame))

    return FuncAnimation(figure, show, frames=15, interval=600)


evidence.save(
    "parallelogram_race",
    draw_race,
    caption="SGD and Momentum down the same ravine, with the arrows of every step of Momentum.",
    alt="Two panels: SGD swings across the ravine and creeps along it; Momentum overshoots and "
    "turns.",
)

# %% bet
evidence.bet(
    "While a network learns the digits with λ = 0.9: in what share of its steps is the length of "
    "the step between the lengths of its two parts?",
    answer=round(100 * float(length["digits"])),
    slider=(0, 100, 1),
    unit=" %",
    told="In the others the parts agree and the step is longer than both, or they oppose each "
    "other and it is shorter than both.",
)

# %% play [markdown]
# [See the arrows add up](playground.md#surface=ravine&momentum=0.5). Turn λ up: the steps get
# longer along the ravine, where the gradients agree, and not across it.

# %% why [markdown]
# Adding arrows is not averaging them. The sum of two arrows always points between them, but its
# length depends on the angle: arrows that agree make a longer one, arrows that oppose each other a
# shorter one. That is what momentum is for: it grows along a valley, where gradients agree, and
# cancels across it, where they alternate.

# %% [markdown]
# ## Verdict

# %% verdict
evidence.report(
    "21",
    "Gradient descent: θ¹ = θ⁰ − ηg⁰.",
    slide="arrows, no numbers",
    ours=f"{STEPS} steps in a ravine whose gradient is known: off by {here:.0e} of |θ|",
    rule="definition if every step is −ηg to 1e-15 of |θ|; contradicted if any is not",
    verdict="definition" if here < 1e-15 else "contradicted",
    headline="every step is −ηg" if here < 1e-15 else "not every step is −ηg",
    quote="往梯度移动的反方向更新参数",
)
present = here < 1e-15 and past_of_sgd == 0
evidence.report(
    "22",
    "Plain gradient descent uses only the previous gradient.",
    slide="no numbers",
    ours=f"−ηg of the present point to {here:.0e} (of one step earlier: off by {earlier:.2f} of "
    f"|θ|); the past changes SGD's step by {past_of_sgd:g}, Momentum's by {past_of_momentum:.2g}",
    rule="wording if the step is −ηg of the present point and the past changes not a bit of it; "
    "reproduced if it is −ηg of one step earlier; contradicted if it is neither",
    verdict="wording" if present else "reproduced" if earlier < 1e-15 else "contradicted",
    headline="it uses the gradient of here and now"
    if present
    else "not the present gradient alone",
    quote="每一次仅利用前一次的梯度下降方向",
    caveat="true if 'previous' means the index t − 1 of the formula: the gradient of here and now",
)
exact = max(errors.values()) < 1e-15 and min(direction.values()) == 1
evidence.report(
    "23",
    "m⁰ = 0; mᵗ = λmᵗ⁻¹ − ηgᵗ⁻¹; θᵗ = θᵗ⁻¹ + mᵗ: a compromise of the last step and −ηg.",
    slide="red gradient, dotted last step, blue sum",
    ours=f"the sum to {max(errors.values()):.0e} of |θ|; direction between in "
    f"{min(direction.values()):.0%} of the steps, length in {length['ravine']:.0%} (ravine) and "
    f"{length['digits']:.0%} (digits)",
    rule="contradicted if any step is not the sum to 1e-15 of |θ|, or its direction not between; "
    "else definition if the length is always between, too, and wording if it is not",
    verdict=("definition" if min(length.values()) == 1 else "wording") if exact else "contradicted",
    headline=f"between in direction, not in length ({length['digits']:.0%} of the steps)"
    if exact and min(length.values()) < 1
    else f"the sum of the two, to {max(errors.values()):.0e}",
    quote="momentum 则是在gradient 的反方向上加上上一步的方向(在式子中用 "
    "m表示),这两个方向是向量相加,用平行四边形法则",
    caveat="the formula is a definition; 'compromise' is true of the direction. The two are added, "
    "not averaged (λ + 1 ≠ 1), so steps that agree grow",
)
