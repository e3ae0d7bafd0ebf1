# The paper's "w/o PNCC-PE" (table 2) of mrt_tiny_pncc.py: tokens are told their place in the picture instead, so that
# all paths of an image end in one body.
#   python tools/train.py configs/mion/mrt_tiny_pncc_sine-pe.py
#   python tools/test.py configs/mion/mrt_tiny_pncc_sine-pe.py work_dirs/mrt_tiny_pncc_sine-pe/epoch_2.pth \
#       --cfg-options model.selector.parts=1
_base_ = "mrt_tiny_pncc.py"

model = dict(network=dict(position_encoding=dict(_delete_=True, type="mion.SinePositionEncoding2D")))
