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
from itertools import islice

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.animation import FuncAnimation

import tinygrad_edu as tg
from tinygrad_edu import evidence

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
        yield w.data
        optimizer.zero_grad()
        curve(w).sum().backward()  # of all balls: none feels another's slope
        optimizer.step()


# %% [markdown]
# From w = 7, without momentum and with the usual λ = 0.9:

# %%
STEPS = 150
paths = {momentum: list(islice(roll(7.0, momentum), STEPS)) for momentum in (0.0, 0.9)}
for momentum, path in paths.items():
    print(
        f"λ = {momentum}: after {STEPS} steps w = {path[-1]:.3f}, where L = {curve(path[-1]):.3f}"
    )

TOP = 3.101  # of the bump: steps to the left of it are over the hill
crossing = next((step for step, w in enumerate(paths[0.9]) if w < TOP), None)
print(f"With λ = 0.9 the ball passes the top at step {crossing}.")


# %%
def draw_roll():
    figure, axes = plt.subplots(figsize=(7, 3.2))
    grid = np.linspace(-4, 7.4, 400)
    axes.plot(grid, curve(grid), color="gray", zorder=1)
    axes.set(xlabel="w", ylabel="L(w)", ylim=(-0.1, 1.7))
    balls = [
        axes.plot([], [], "o", markersize=11, label=f"λ = {momentum:g}")[0] for momentum in paths
    ]
    axes.legend(loc="upper left")

    def show(step):
        for ball, path in zip(balls, paths.values()):
            ball.set_data([path[step]], [curve(path[step]) + 0.04])

    return FuncAnimation(figure, show, frames=range(0, 100, 1), interval=70)


evidence.save("rolling_ball", draw_roll)

# %% [markdown]
# ## Four balls
#
# Along the way of λ = 0.9, where the notes' four balls are: how far the gradient alone would take
# the ball, how far the last step alone, and how far it goes.

# %%
path = np.array(paths[0.9])
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
fourth = places["4  uphill"]
carried = pulls[fourth] > 0 > moves[fourth]  # pulled back, yet moving on

# %% [markdown]
# ## Which balls get over?
#
# The same hill, other starts, other λ. A ball has cleared it if it ends to the left of the top.

# %%
starts, momenta = np.arange(4.0, 9.01, 0.25), np.arange(0.5, 0.981, 0.01)
cleared = np.array([next(islice(roll(starts, λ), 1000, None)) < TOP for λ in momenta])


def threshold(start):
    """Return the smallest λ of the map, in hundredths, with which the ball gets over."""
    return momenta[cleared[:, list(starts).index(start)]].min()


print({start: f"λ = {threshold(start):.2f}" for start in (7.0, 5.0)})


# %%
def draw_map():
    figure, axes = plt.subplots(figsize=(5.5, 3.2))
    axes.contourf(starts, momenta, cleared, levels=[-0.5, 0.5, 1.5], colors=["C1", "C0"], alpha=0.5)
    axes.text(6.5, 0.65, "stays behind the hill", ha="center")
    axes.text(7.2, 0.93, "gets over", ha="center")
    axes.set(xlabel="start w⁰", ylabel="λ", title="Where the ball ends")
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
)
evidence.report(
    "27",
    "With the gradient at zero the last step carries the ball on; uphill it may clear the hill.",
    slide="four balls on one slope, no numbers",
    ours=f"over the hill from w = 7 for λ ≥ {threshold(7.0):.2f}, from w = 5 for λ ≥ "
    f"{threshold(5.0):.2f}; {cleared.mean():.0%} of the map gets over",
    rule="under conditions if some balls of the map get over and some do not, and the fourth ball "
    "moves on against its gradient; contradicted if none gets over, or the fourth turns back",
    verdict=evidence.judge_conditions(cleared.ravel()) if carried else "contradicted",
    caveat="it depends on the start and on λ: a low start, or a λ below the threshold, stays",
)
