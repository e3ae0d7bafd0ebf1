# Stage 2 of the small model, after mrt_tiny_lifting_more.py: paths that stay different. A branch is held to the
# truth by how near its candidate is to it, so that each learns what the body is if its candidate is about right.
#   python tools/train.py configs/mion/mrt_tiny_lifting_apart.py
#   python tools/test.py configs/mion/mrt_tiny_lifting_apart.py work_dirs/mrt_tiny_lifting_apart/epoch_6.pth
_base_ = "mrt_tiny_lifting_more.py"

load_from = "work_dirs/mrt_tiny_lifting_more/epoch_8.pth"
model = dict(
    selector=dict(parts=3),  # candidates nearly as good as those of the whole pool
    train_candidates=3,
    # candidates are 0.12 to 0.3 m from the truth, those of an image differ by 0.1 m
    loss=dict(winner_scale=0.04, loser_share=0.1),
)
# bodies that the earlier trainings have not seen
train_dataloader = dict(dataset=dict(num_batches=250, bodies_per_batch=192, seed=7))
optim_wrapper = dict(optimizer=dict(lr=2.5e-4))  # a quarter of the first training's
max_epochs = 6
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", T_max=max_epochs, eta_min=1e-5, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
