# Stage 3, small, after cen_tiny_synthetic.py: 1,000 more steps on other people; the mean of the weights is what counts.
#   python tools/train.py configs/mion/cen_tiny_synthetic_averaged.py
#   python tools/test.py configs/mion/cen_tiny_synthetic_averaged.py work_dirs/cen_tiny_synthetic_averaged/epoch_5.pth
_base_ = "cen_tiny_synthetic.py"

load_from = "work_dirs/cen_tiny_synthetic/epoch_8.pth"
train_dataloader = dict(dataset=dict(seed=5))  # not the people of the first 1,600 steps

optim_wrapper = dict(optimizer=dict(lr=5e-4))  # half of the first training's
max_epochs = 5
param_scheduler = [dict(type="LinearLR", start_factor=0.02, by_epoch=False, begin=0, end=50)]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)

# Weights averaged over about the last hundred steps choose better than the last ones, and the rate need not fall.
default_hooks = dict(ema=dict(type="EMAHook", momentum=0.01, begin_iter=50, update_buffers=True))
