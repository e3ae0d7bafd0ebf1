# Stage 3 of the small model, after reader_tiny_synthetic.py: two passes over twice as many other pictures.
#   python tools/synthesize.py --out data/synthetic_112_more --num-images 72000 --seed 1000 --image-size 112 \
#       --detected-noise 1.5 --exchange-prob 0.2
#   python tools/train.py configs/mion/reader_tiny_synthetic_more.py
#   python tools/calibrate.py configs/mion/mion_tiny_synthetic.py \
#       work_dirs/reader_tiny_synthetic_more/epoch_2.pth cen.pth
_base_ = "reader_tiny_synthetic.py"

load_from = "work_dirs/reader_tiny_synthetic/epoch_4.pth"
model = dict(cen=dict(reader=dict(backbone=dict(weights=None))))  # those of load_from
train_dataloader = dict(dataset=dict(data_root="data/synthetic_112_more"))
optim_wrapper = dict(optimizer=dict(lr=7e-4))  # two thirds of the first training's
max_epochs = 2
param_scheduler = [
    dict(type="LinearLR", start_factor=0.02, by_epoch=False, begin=0, end=60),
    dict(type="CosineAnnealingLR", T_max=max_epochs, eta_min_ratio=0.01, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
