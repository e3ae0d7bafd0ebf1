# Stage 3 at the paper's size without any file: the free stand-in body, the packaged pool, photographs and skins, no
# UP-3D. Its weights score bodies of the stand-in alone.
#   tools/dist_train.sh configs/mion/cen_r34_224_stand-in.py 4
#   tools/dist_test.sh configs/mion/cen_r34_224_stand-in.py work_dirs/cen_r34_224_stand-in/epoch_100.pth 4
_base_ = "cen_r34_224.py"

body = dict(type="mion.SMPLBody")
looks = dict(recipe="training")
selector = dict(_base_.selector, pool=None)
model = dict(cen=dict(body=dict(_delete_=True, **body)), selector=dict(pool=None))
pairs = dict(_base_.pairs, selector=selector, body=body, looks=looks)
pairs["dataset"] = dict(pairs["dataset"], body=body, poses=dict(), looks=looks)
train_dataloader = dict(dataset=dict(_delete_=True, **pairs))
people = dict(body=dict(_delete_=True, **body), poses=dict(_delete_=True))
val_dataloader = dict(dataset=people)
test_dataloader = dict(dataset=people)
val_evaluator = [dict(metric, body=body) for metric in _base_.val_evaluator]
test_evaluator = val_evaluator
