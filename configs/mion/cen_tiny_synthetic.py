# Stage 3 of the small model in the paper's form, on synthetic people: for a laptop without a GPU. Stage 2 is trained
# first.
#   python tools/train.py configs/mion/cen_tiny_synthetic.py
#   python tools/test.py configs/mion/cen_tiny_synthetic.py work_dirs/cen_tiny_synthetic/epoch_8.pth
# On stage 1 alone:
#   --cfg-options model.refiner=None model.pairs.refined=0
_base_ = "mrt_tiny_synthetic.py"

model = dict(
    _delete_=True,
    type="mion.ConsistencyModel",
    cen=dict(_base_.cen, bfloat16_features=True),
    selector={{_base_.model.selector}},
    refiner={{_base_.model.network}},
    refiner_checkpoint="work_dirs/mrt_tiny_synthetic/epoch_8.pth",
    # Refined bodies are what it will choose from: four of an image's five, so that six pairs of them are ranked. The
    # fifth, a candidate or a perturbed body, cannot be judged by the refiner's habits alone.
    pairs=dict(candidate=0.1, refined=0.8, perturbed=0.1),
    num_bodies=5,  # all of stage 1; an image takes about 6 ms to make, scoring and learning from a body about 4
    # Eq. 10 alone spends little on the order within an image, which is all that choosing needs. The logistic loss is
    # near 0.6 where eq. 10 is near 0.03: with this weight both count alike.
    loss=dict(type="mion.ConsistencyLoss", ranking_weight=0.05),
)

# Adam instead of the paper's SGD: a small model, few steps
optim_wrapper = dict(
    _delete_=True,
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=1e-4),
    clip_grad=dict(max_norm=1.0),
)
train_dataloader = dict(dataset=dict(num_samples=6400))  # 200 steps in each of stage 2's 8 epochs

val_evaluator = [_base_.val_evaluator, dict(type="mion.SelectionMetric")]
test_evaluator = val_evaluator
