# %% [markdown]
# # Batches and epochs
#
# How many updates does an epoch make? A large dataset is split into batches (批次). Each batch
# gives one loss, one gradient and one update of the parameters. When every batch was seen once, an
# epoch (回合) has passed. Then the data is shuffled (打乱) and split anew.
#
# Nothing here can be true or false by experiment: these are the words in which the rest is said.
# So this page writes the loop out in full, and then checks that the library means exactly that.

# %%
import sys
from itertools import islice
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent.parent))  # what the examples share
import evidence

# %% [markdown]
# ## One epoch, sample by sample
#
# Twenty samples in batches of six. The loader deals them out like cards: three batches of six, and
# a last one with the two that are left over. In the next epoch it shuffles, and deals again.

# %%
twenty = tg.DataLoader(tg.TensorDataset(np.arange(20)), batch_size=6, shuffle=True, seed=0)
epochs = [[samples.numpy() for (samples,) in twenty] for epoch in range(3)]
for number, batches in enumerate(epochs, 1):
    print(f"epoch {number}:", *batches)


# %% plot
def draw_epochs():
    figure, axes = plt.subplots(figsize=(7, 2.3))
    for row, batches in enumerate(epochs):
        place = 0
        for number, batch in enumerate(batches):
            axes.barh(row, len(batch) - 0.15, 0.62, place, color=f"C{number}", alpha=0.35)
            for offset, sample in enumerate(batch):
                axes.text(place + offset + 0.42, row, sample, ha="center", va="center")
            if row == 0:
                left_over = ", what is left" if len(batch) < 6 else ""
                axes.text(place, -0.5, f"batch {number + 1}{left_over}", color=f"C{number}")
            place += len(batch)
    axes.set(xlim=(0, 22), ylim=(2.5, -0.9), xticks=[], yticks=range(3))
    axes.set_yticklabels([f"epoch {number}" for number in (1, 2, 3)])
    axes.tick_params(left=False)
    axes.spines[:].set_visible(False)
    return figure


evidence.save(
    "batches_and_epochs",
    draw_epochs,
    caption="Three epochs of twenty samples in batches of six: each sample comes once an epoch, in "
    "another batch and another place each time.",
    alt="Three rows of twenty numbers, in groups of 6, 6, 6 and 2; the order differs from row to "
    "row.",
    lead=True,
)

# %% [markdown]
# ## The loop, written out in full
#
# Now with real data, 1437 handwritten digits, and a network. For one batch after the other: the
# loss of this batch alone, its gradient g, and the update against it,
#
# $$\theta \leftarrow \theta - \eta g.$$
#
# That is all there is to training.

# %%
BATCH_SIZE, EPOCHS, LEARNING_RATE = 64, 3, 0.3
train_set, test_set = tg.datasets.digits()


def fresh():
    """Make the network and the loader; the same seed gives the same ones every time."""
    loader = tg.DataLoader(train_set, BATCH_SIZE, shuffle=True, seed=0)
    return tg.nn.perceptron(64, 64, 10, seed=0), loader


model, loader = fresh()
losses = []
for epoch in range(1, EPOCHS + 1):
    for images, labels in loader:  # one batch:
        loss = tg.cross_entropy(model(images), labels)  # one loss,
        gradient = tg.grad(loss, model.parameters())  # one gradient,
        for parameter, g in zip(model.parameters(), gradient):  # one update
            parameter.data = parameter.data - LEARNING_RATE * g.data
        losses.append(loss.item())
    score = tg.evaluate(model, train_set)
    print(
        f"after epoch {epoch}, {len(losses)} updates: loss {score.loss:.2f}, "
        f"{score.accuracy:.0%} of the images right"
    )

# %% [markdown]
# ## The same loop, ready-made
#
# `tg.updates` is this loop, without end, with an optimizer to do the update: each step of it takes
# the next batch, and yields the loss. Take as many steps as you want. Is it really the same? Not
# nearly, but bit for bit: every loss on the way, and every parameter at the end.

# %%
its_model, its_loader = fresh()
optimizer = tg.SGD(its_model.parameters(), LEARNING_RATE)
steps = tg.updates(lambda x, y: tg.cross_entropy(its_model(x), y), its_loader, optimizer)
its_losses = [loss.item() for loss, *batch in islice(steps, EPOCHS * len(its_loader))]

same_losses = its_losses == losses
same_parameters = all(
    np.array_equal(ours.data, its.data)
    for ours, its in zip(model.parameters(), its_model.parameters(), strict=True)
)
print(f"the same losses: {same_losses}, the same parameters: {same_parameters}")


# %% plot
def draw_losses():
    figure, axes = plt.subplots(figsize=(7, 3))
    axes.plot(np.arange(1, len(losses) + 1), losses, color="gray", alpha=0.5, linewidth=1)
    per_epoch = len(losses) // EPOCHS
    for epoch in range(EPOCHS):
        updates = np.arange(epoch * per_epoch, (epoch + 1) * per_epoch)
        axes.plot(updates + 1, np.array(losses)[updates], "o", color=f"C{epoch}")
        axes.text(updates.mean(), 2.45, f"epoch {epoch + 1}", ha="center", color=f"C{epoch}")
        if epoch:
            axes.axvline(updates[0] + 0.5, color="gray", linestyle=":")
    axes.set(xlabel="update", ylabel="loss of the batch", ylim=(0, 2.65))
    return figure


evidence.save(
    "batches_and_epochs_loss",
    draw_losses,
    caption="The loss of every batch over three epochs. The dots scatter, because each is the loss "
    "of another batch.",
    alt=f"Dots fall from about {losses[0]:.1f} to {losses[-1]:.1f} and scatter around a curve.",
)

# %% [markdown]
# The dots scatter, since each is the loss of another batch. But the batches are no strangers to the
# whole: at the same θ their gradients, weighted by their sizes, make up the gradient of all the
# data. (In training θ moves between two batches, so an epoch is *not* one step of the full batch.)

# %%
exact = tg.nn.perceptron(64, 64, 10, seed=0, dtype="float64")


def flat_gradient(images, labels):
    """Return the gradient of the loss on these samples, all the parameters in one vector."""
    loss = tg.cross_entropy(exact(images), labels)
    return tg.nn.parameters_to_vector(tg.grad(loss, exact.parameters()))


whole = flat_gradient(*train_set[:])
parts = sum(len(labels) * flat_gradient(images, labels) for images, labels in fresh()[1])
deviation = np.linalg.norm(parts / len(train_set) - whole) / np.linalg.norm(whole)
print(f"the batches' gradients add up to the full one, up to {deviation:.0e} of its length")

# %% [markdown]
# ## Counting
#
# N samples in batches of B make ⌈N/B⌉ updates an epoch: N/B, rounded up for the batch of what is
# left over. And each sample comes exactly once. Let us count, for every N up to 60 and every B up
# to 65 (more than there is), and for the digits, two epochs each.


# %%
def is_epoch(batches, samples, batch_size):
    """Tell whether these batches are ⌈N/B⌉, none too large, with every sample exactly once."""
    seen = np.concatenate(batches)
    return (
        len(batches) == -(-samples // batch_size)
        and max(map(len, batches)) <= batch_size
        and np.array_equal(np.sort(seen), np.arange(samples))
    )


cases = [(N, B) for N in range(1, 61) for B in range(1, 66)]
cases += [(len(train_set), B) for B in (1, 8, 32, 64, 128, 512, 1437)]
right = []
for samples, batch_size in cases:
    numbers = tg.TensorDataset(np.arange(samples))
    deal = tg.DataLoader(numbers, batch_size, shuffle=True, seed=samples)
    for batches in ([batch.numpy() for (batch,) in deal] for _epoch in range(2)):
        right.append(is_epoch(batches, samples, batch_size))
print(f"{sum(right)} of {len(right)} epochs as they should be")

# %% bet
evidence.bet(
    "1437 samples in batches of 64: how many updates are one epoch?",
    answer=len(loader),
    slider=(1, 64, 1),
    told="22 full batches, and one of the 29 samples that are left over.",
)

# %% why [markdown]
# An epoch is counted in samples, an update in batches. So N samples make N/B updates, rounded up
# for the batch of what is left over. Half the batch size means twice the updates for the same
# samples, and that alone explains much of what the other pages find.

# %% [markdown]
# ## Verdict

# %% verdict
loop_holds = same_losses and same_parameters and deviation < 1e-12
evidence.report(
    "2",
    "The data is split into batches; each gives one loss, one gradient and one update.",
    slide="a drawing, no numbers",
    ours=f"{len(losses)} updates, by the loop written out and by tg.updates, "
    f"{'the same bit for bit' if same_losses and same_parameters else 'which differ'}; the "
    f"batches' gradients add up to the full one to {deviation:.0e}",
    rule="a definition if both loops give the same bits and the batches' gradients make up the "
    "full one to 1e-12; contradicted if a single bit differs, or the sum does not fit",
    verdict="definition" if loop_holds else "contradicted",
    headline=f"{len(losses)} batches, {len(losses)} updates, bit for bit"
    if loop_holds
    else "the two loops differ",
    quote="将一笔大型资料分若干批次计算 loss 和梯度,从而更新参数",
)
evidence.report(
    "3",
    "An epoch has passed when every batch was seen once.",
    slide="a drawing, no numbers",
    ours=f"⌈N/B⌉ updates and each sample exactly once in {sum(right)} of {len(right)} epochs of "
    f"{len(cases)} pairs (N, B)",
    rule="a definition if this holds in every epoch; contradicted if one has another number of "
    "batches, or leaves a sample out, or brings one twice",
    verdict="definition" if all(right) else "contradicted",
    headline=f"⌈N/B⌉ updates in {sum(right)} of {len(right)} epochs",
    quote="epoch是指将数据集分成batch后,将所有batch训练一遍,就是一个epoch",
    caveat="some leave out the smaller last batch (drop_last), and so up to B − 1 samples",
)
