// What Gradio runs when the page has `element`, which holds the SVG of keypoint_picture.py. The SVG's units are the
// photograph's pixels, so the browser itself maps between display and photograph. Gradio's events: `select` takes a
// keypoint, `input` puts it down at a point (null: it is absent), `release` ends the drawing of a box.

const SLIP = 4; // screen pixels that a press may slip and still be a tap
const REACH = { mouse: 12, pen: 12, touch: 26 }; // screen pixels around a handle in which it is taken hold of
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
let drag = null;

const svg = () => element.querySelector("svg");
const numberOf = (handle) => Number(handle.dataset.keypoint);

function pointOf(event) {
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg().getScreenCTM().inverse());
  return [point.x, point.y];
}

function placeOf(handle) {
  const { e, f } = handle.transform.baseVal.consolidate().matrix;
  return [e, f];
}

function handleAt(event, point) {
  const screen = svg().getScreenCTM().a;
  const distance = (handle) => screen * Math.hypot(...placeOf(handle).map((value, axis) => value - point[axis]));
  const kind = svg().classList.contains("boxing") ? ".corner" : ".keypoint";
  const [first] = [...element.querySelectorAll(`${kind}:not(.absent)`)].sort((a, b) => distance(a) - distance(b));
  return first && distance(first) < REACH[event.pointerType] ? first : null;
}

function show(handle, [x, y]) {
  handle.setAttribute("transform", `translate(${x} ${y})`);
  const ends = { from: ["x1", "y1"], to: ["x2", "y2"] };
  for (const [end, [left, top]] of Object.entries(ends)) {
    for (const bone of element.querySelectorAll(`[data-${end}="${handle.dataset.keypoint}"]`)) {
      bone.setAttribute(left, x);
      bone.setAttribute(top, y);
    }
  }
}

function showBox([ax, ay], [bx, by]) {
  const [left, right, top, bottom] = [Math.min(ax, bx), Math.max(ax, bx), Math.min(ay, by), Math.max(ay, by)];
  const sides = { x: left, y: top, width: right - left, height: bottom - top };
  Object.entries(sides).forEach(([name, value]) => svg().querySelector(".box").setAttribute(name, value));
  const corners = [[left, top], [right, top], [right, bottom], [left, bottom]];
  svg().querySelectorAll(".corner").forEach((corner, index) => show(corner, corners[index]));
  return [left, top, right, bottom];
}

function follow(point) {
  const to = drag.handle ? drag.from.map((value, axis) => value + point[axis] - drag.start[axis]) : point;
  if (drag.fixed) drag.box = showBox(drag.fixed, to);
  else if (drag.handle) show(drag.handle, (drag.to = to));
}

element.addEventListener("pointerdown", (event) => {
  if (!svg() || !event.isPrimary || event.button !== 0) return;
  const start = pointOf(event);
  const handle = handleAt(event, start);
  const corners = [...element.querySelectorAll(".corner")].map(placeOf);
  const fixed = corners.length ? (handle ? corners[(Number(handle.dataset.corner) + 2) % 4] : start) : null;
  drag = { id: event.pointerId, x: event.clientX, y: event.clientY, start, handle, fixed, corners, moved: false };
  if (handle) drag.from = placeOf(handle);
  element.setPointerCapture(event.pointerId);
});

// Else the browser scrolls the page. The style `touch-action` says so for the whole of an SVG alone.
element.addEventListener("touchstart", (event) => (drag?.handle || drag?.fixed) && event.preventDefault(), {
  passive: false,
});

element.addEventListener("pointermove", (event) => {
  if (drag?.id !== event.pointerId) return;
  drag.moved ||= Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > SLIP;
  if (drag.moved) follow(pointOf(event));
});

element.addEventListener("pointerup", (event) => {
  if (drag?.id !== event.pointerId) return;
  const { handle, start, to, box, moved } = drag;
  drag = null;
  const chosen = svg().dataset.chosen;
  if (box) trigger("release", { box });
  else if (to) trigger("input", { keypoint: numberOf(handle), point: to });
  else if (!moved && chosen) trigger("input", { keypoint: Number(chosen), point: start });
  else if (!moved && handle?.dataset.keypoint) trigger("select", { keypoint: numberOf(handle) });
});

element.addEventListener("pointercancel", () => {
  if (drag?.box) showBox(drag.corners[0], drag.corners[2]);
  else if (drag?.to) show(drag.handle, drag.from);
  drag = null;
});

element.addEventListener("keydown", (event) => {
  const handle = event.target.closest("[data-keypoint]");
  if (!handle || !(event.key in STEPS)) return;
  const length = (svg().viewBox.baseVal.width / 400) * (event.shiftKey ? 10 : 1);
  show(handle, placeOf(handle).map((value, axis) => value + length * STEPS[event.key][axis]));
  event.preventDefault();
});

element.addEventListener("keyup", (event) => {
  const handle = event.target.closest("[data-keypoint]");
  if (!handle) return;
  if (event.key in STEPS) trigger("input", { keypoint: numberOf(handle), point: placeOf(handle) });
  if (event.key === "Delete") trigger("input", { keypoint: numberOf(handle), point: null });
});
