# Stage 2 of the small model, after mrt_tiny_lifting.py: keypoints as stage 3's reader has corrected them by the
# picture, whose errors are smaller and differ more from person to person than a detector's.
#   python tools/train.py configs/mion/mrt_tiny_lifting_corrected.py
#   python tools/test.py configs/mion/mrt_tiny_lifting_corrected.py work_dirs/mrt_tiny_lifting_corrected/epoch_16.pth
_base_ = "mrt_tiny_lifting.py"

load_from = "work_dirs/mrt_tiny_lifting/epoch_13.pth"
# bodies that the first training has not seen
train_dataloader = dict(dataset=dict(seed=3, errors=dict(noise=0.9, noise_spread=0.6)))
optim_wrapper = dict(optimizer=dict(lr=5e-4))  # half of the first training's
max_epochs = 16
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", T_max=max_epochs, eta_min=1e-5, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
