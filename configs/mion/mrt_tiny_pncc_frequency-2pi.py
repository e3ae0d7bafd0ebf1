# mrt_tiny_pncc.py with PNCC times 2 pi, so that the fastest sine of eq. 5 runs once around along the body: as printed,
# most channels hardly change (docs/fidelity.md).
#   python tools/train.py configs/mion/mrt_tiny_pncc_frequency-2pi.py
#   python tools/test.py configs/mion/mrt_tiny_pncc_frequency-2pi.py \
#       work_dirs/mrt_tiny_pncc_frequency-2pi/epoch_2.pth --cfg-options model.selector.parts=1
_base_ = "mrt_tiny_pncc.py"

model = dict(network=dict(position_encoding=dict(frequency_scale=6.2832)))
