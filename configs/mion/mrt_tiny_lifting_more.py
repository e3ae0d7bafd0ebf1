# Stage 2 of the small model, after mrt_tiny_lifting_corrected.py, which was stopped before the learning rate had
# fallen: other bodies, and the rate down to its end.
#   python tools/train.py configs/mion/mrt_tiny_lifting_more.py
#   python tools/test.py configs/mion/mrt_tiny_lifting_more.py work_dirs/mrt_tiny_lifting_more/epoch_8.pth
_base_ = "mrt_tiny_lifting_corrected.py"

load_from = "work_dirs/mrt_tiny_lifting_corrected/epoch_11.pth"
train_dataloader = dict(dataset=dict(seed=5))  # bodies that the earlier trainings have not seen
max_epochs = 8
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", T_max=max_epochs, eta_min=1e-5, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
