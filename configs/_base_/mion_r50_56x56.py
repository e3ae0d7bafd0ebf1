# The three stages at the paper's size; 2 and 3 were trained before, by mrt_r50_56x56_mixed.py and cen_r34_224.py.
_base_ = "./mrt_r50_56x56.py"

model = dict(
    _delete_=True,
    type="mion.MION",
    selector={{_base_.model.selector}},
    refiner={{_base_.model.network}},
    refiner_checkpoint="work_dirs/mrt_r50_56x56_mixed/epoch_60.pth",
    cen=dict(type="mion.CEN"),  # the paper's
    cen_checkpoint="work_dirs/cen_r34_224/epoch_100.pth",
)
