# %% [markdown]
# # A ball that rolls past critical points
#
# A heavy ball does not stop at the first dip: inertia (惯性) carries it on. The notes draw four
# balls on one slope. The first has only the gradient to follow. For the second the gradient is
# small, and the last step still pushes. For the third the gradient is zero, at a critical point
# (临界点), and the last step alone carries it over. For the fourth the gradient points back, and if
# the last step is longer, the ball *may* clear the hill.
#
# Momentum (动量) is this picture as a rule, with m⁰ = 0:
#
# $$m^t = \lambda m^{t-1} - \eta g^{t-1}, \qquad \theta^t = \theta^{t-1} + m^t.$$
#
# "May" is the word to measure. From which starts, and with how much of the last step kept, does the
# ball get over?

# %%
import sys
from itertools import islice
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.animation import FuncAnimation
from tqdm import tqdm

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent.parent))  # what the examples share
import evidence
import rules

# %% [markdown]
# The curve is a wide bowl with a bump in it: L = w²/32 + ¼ exp(−4(w − 3)²). To the right of the
# bump is a local minimum, at w ≈ 3.66 with L ≈ 0.46. Beyond the top, at w ≈ 3.10, lies the best
# place of all, w = 0 with L = 0.


# %%
def curve(w):
    return w**2 / 32 + 0.25 * tg.ops.exp(-4 * (w - 3) ** 2)


def roll(start, momentum, lr=0.1):
    """Let go of a ball, or of an array of them, and yield where they are."""
    w = tg.Tensor(start, requires_grad=True)
    optimizer = tg.Momentum([w], lr, momentum)
    while True:
        yield w.numpy()
        optimizer.zero_grad()
        curve(w).sum().backward()  # of all balls: none feels another's slope
        optimizer.step()


# %% [markdown]
# From w = 7, without momentum, with a little too little of it, and with the usual λ = 0.9:

# %%
STEPS, TOP = 150, 3.101  # of the bump: left of it a ball is over the hill
paths = {λ: np.array(list(islice(roll(7.0, λ), STEPS))) for λ in (0.0, 0.85, 0.9)}
for λ, path in paths.items():
    print(f"λ = {λ}: after {STEPS} steps w = {path[-1]:.3f}, where L = {curve(path[-1]):.3f}")
crossing = next((step for step, w in enumerate(paths[0.9]) if w < TOP), None)
print(f"With λ = 0.9 the ball passes the top at step {crossing}.")


# %%
def landscape(axes, left, right):
    grid = np.linspace(left, right, 400)
    axes.plot(grid, curve(grid), color="gray", zorder=1)
    axes.set(xlabel="w", ylabel="L(w)")


def arrow(axes, w, height, length, magnified, **style):
    """Draw a horizontal arrow; in this landscape steps are short, so they are drawn longer."""
    shape = {"arrowstyle": "->", "shrinkA": 0, "shrinkB": 0, "lw": 1.8} | style
    return axes.annotate("", (w + magnified * length, height), (w, height), arrowprops=shape)


def forces(axes, path, step, height, magnified, row=0.07):
    """Draw λ · the last step, −ηg, and below them their sum, as the lecture does."""
    last, move = 0.9 * (path[step] - path[max(step - 1, 0)]), path[step + 1] - path[step]
    yield arrow(axes, path[step], height + 2 * row, last, magnified, color="gray", ls=":")
    yield arrow(axes, path[step], height + row, move - last, magnified, color="C0")
    yield arrow(axes, path[step], height, move, magnified, color="C1")


def draw_roll():
    figure, axes = plt.subplots(figsize=(7, 3.2))
    landscape(axes, -4, 7.4)
    axes.set_ylim(-0.1, 1.95)
    colors = dict(zip(paths, ("C0", "C2", "C1")))
    for λ, height in zip(paths, (1.55, 1.7, 1.85)):
        axes.text(-3.9, height, f"λ = {λ:g}", color=colors[λ], va="center")
    trails = [axes.plot([], [], ".-", color=colors[λ], lw=1, alpha=0.4)[0] for λ in paths]
    balls = [axes.plot([], [], "o", color=colors[λ], markersize=10)[0] for λ in paths]
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the layout stays, so the frames are drawn fast
    drawn = []

    def show(step):
        for lift, ball, trail, path in zip((0.04, 0.08, 0.12), balls, trails, paths.values()):
            ball.set_data([path[step]], [curve(path[step]) + 0.04])
            trail.set_data(path[: step + 1], curve(path[: step + 1]) + lift)
        while drawn:
            drawn.pop().remove()
        drawn.extend(forces(axes, paths[0.9], step, curve(paths[0.9][step]) + 0.2, 5))

    return FuncAnimation(figure, show, frames=56, interval=120)


evidence.save("rolling_ball", draw_roll)

# %% [markdown]
# ## Four balls
#
# Along the way of λ = 0.9, where the notes' four balls are: how far the gradient alone would take
# the ball, how far the last step alone, and how far it goes.

# %%
path = paths[0.9]
lasts, moves = np.diff(path)[:-1], np.diff(path)[1:]
pulls = moves - 0.9 * lasts  # −ηg, what is left of m = λm − ηg
places = {
    "1  on the slope": 0,
    "2  small gradient": int(np.argmin(np.where(path[1:-1] > 4.2, np.abs(pulls), np.inf))),
    "3  critical point": int(np.argmin(np.abs(path[1:-1] - 3.663))),
    "4  uphill": int(np.argmax(np.where(path[1:-1] > TOP, pulls, -np.inf))),
}
print("ball                    w      −ηg    λ·last step    the step")
for name, place in places.items():
    print(
        f"{name:20}{path[place + 1]:6.2f} {pulls[place]:+8.3f} {0.9 * lasts[place]:+11.3f}"
        f" {moves[place]:+14.3f}"
    )
third, fourth = places["3  critical point"], places["4  uphill"]
carried = (
    abs(pulls[third]) < 0.05 * abs(moves[third])  # almost no gradient, yet moving on
    and lasts[third] * moves[third] > 0
    and pulls[fourth] > 0 > moves[fourth]  # pulled back, yet moving on
)


# %%
def draw_four():
    figure, axes = plt.subplots(figsize=(7, 3.6))
    landscape(axes, 2.2, 7.3)
    for row, (name, place) in enumerate(places.items()):
        w, height = path[place + 1], (1.75, 1.4, 1.05, 0.7)[row]
        axes.plot([w, w], [curve(w), height], color="gray", lw=0.7, alpha=0.5)
        axes.plot(w, curve(w) + 0.03, "o", color="C1", markersize=11)
        list(forces(axes, path, place + 1, height, 4))
        axes.text(w + 0.14, height + 0.04, name, va="center")
    axes.text(5.4, 0.55, "···>  λ · last step", color="gray")
    axes.text(5.4, 0.42, "—>  −ηg", color="C0")
    axes.text(5.4, 0.29, "—>  the step, their sum", color="C1")
    axes.set(ylim=(0.2, 2))
    return figure


evidence.save("rolling_ball_four", draw_four)

# %% [markdown]
# ## Which balls get over?
#
# The same hill, other starts, other λ. A ball has cleared it if it ends to the left of the top.

# %%
starts, momenta = np.arange(4.0, 9.01, 0.25), np.arange(0.5, 0.981, 0.01)
ends = [next(islice(roll(starts, λ), 1000, None)) for λ in tqdm(momenta, desc="every start and λ")]
cleared = np.array(ends) < TOP


def threshold(start):
    """Return the smallest λ of the map, in hundredths, with which the ball gets over."""
    over = cleared[:, list(starts).index(start)]
    return momenta[over].min(initial=np.inf)  # infinite if none gets over


print({start: f"λ = {threshold(start):.2f}" for start in (7.0, 5.0)})


# %%
def draw_map():
    figure, axes = plt.subplots(figsize=(6, 3.2))
    axes.contourf(starts, momenta, cleared, levels=[-0.5, 0.5, 1.5], colors=["C0", "C1"], alpha=0.4)
    axes.text(5.2, 0.6, "stays behind the hill")
    axes.text(7.9, 0.94, "gets over", ha="center")
    for λ, color in zip((0.85, 0.9), ("C2", "C1")):
        axes.plot(7, λ, "o", color=color)
        axes.text(7.1, λ, f"λ = {λ:g}", va="center")
    axes.set(xlabel="start w⁰", ylabel="λ")
    return figure


evidence.save("rolling_ball_map", draw_map)

# %% [markdown]
# ## Verdict

# %%
stays = paths[0.0][-1] > TOP
evidence.report(
    "20",
    "Inertia carries a ball past critical points.",
    slide="a drawing, no numbers",
    ours=f"from w = 7, λ = 0 ends at {paths[0.0][-1]:.2f} and λ = 0.9 passes the top at step "
    f"{crossing}",
    rule="reproduced if λ = 0.9 passes the local minimum and the top where λ = 0 stays; "
    "contradicted if both stay, or if λ = 0 passes, too",
    verdict="reproduced" if stays and crossing else "contradicted",
    caveat=f"with enough λ: from the same start λ = 0.85 ends at {paths[0.85][-1]:.2f}",
)
evidence.report(
    "27",
    "With the gradient at zero the last step carries the ball on; uphill it may clear the hill.",
    slide="four balls on one slope, no numbers",
    ours=f"over the hill from w = 7 for λ ≥ {threshold(7.0):.2f}, from w = 5 for λ ≥ "
    f"{threshold(5.0):.2f}; {cleared.mean():.0%} of the map gets over",
    rule="under conditions if some balls of the map get over and some do not, the third ball moves "
    "on though its gradient is < 5 % of its step, and the fourth against its gradient; "
    "contradicted if none gets over, or the third stops, or the fourth turns back",
    verdict=rules.judge_conditions(cleared.ravel()) if carried else "contradicted",
    caveat="it depends on the start and on λ: a low start, or a λ below the threshold, stays",
)
