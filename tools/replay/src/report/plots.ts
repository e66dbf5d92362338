/** One line of a plot. */
export interface Line {
  readonly label: string;
  /** y by x. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** What every plot says of itself. */
export interface PlotText {
  readonly title: string;
  readonly x: string;
  readonly y: string;
}

const width = 560;
const height = 260;
const edge = { left: 56, right: 14, top: 14, bottom: 40 } as const;
const colors = ['#2563eb', '#dc2626', '#16a34a', '#d97706', '#7c3aed', '#0891b2', '#be185d', '#4d7c0f'];

/** Text that may stand in markup. */
export const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** A number with as many digits as an axis needs. */
function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  return String(Number(value.toPrecision(3)));
}

/** Round numbers between two ends. */
export function ticks(from: number, to: number, wanted = 5): number[] {
  if (!(to > from)) return [from];
  const raw = (to - from) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= raw) ?? 10) * power;
  const first = Math.ceil(from / step);
  return Array.from({ length: Math.floor(to / step + 1e-9) - first + 1 }, (_, index) => (first + index) * step);
}

interface Frame {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
  readonly markup: string;
}

function frame({ title, x: xLabel, y: yLabel }: PlotText, range: { x: readonly [number, number]; y: readonly [number, number] }): Frame {
  const [x0, x1] = range.x;
  const [y0, y1] = range.y;
  const x = (value: number): number => edge.left + ((value - x0) / (x1 - x0 || 1)) * (width - edge.left - edge.right);
  const y = (value: number): number => height - edge.bottom - ((value - y0) / (y1 - y0 || 1)) * (height - edge.top - edge.bottom);
  const vertical = ticks(y0, y1).map(
    (value) =>
      `<line class="g" x1="${edge.left}" x2="${width - edge.right}" y1="${y(value).toFixed(1)}" y2="${y(value).toFixed(1)}"/><text x="${edge.left - 6}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end">${short(value)}</text>`,
  );
  const horizontal = ticks(x0, x1).map(
    (value) => `<text x="${x(value).toFixed(1)}" y="${height - edge.bottom + 16}" text-anchor="middle">${short(value)}</text>`,
  );
  const labels = `<text x="${(edge.left + width - edge.right) / 2}" y="${height - 6}" text-anchor="middle">${escaped(xLabel)}</text><text transform="translate(13 ${(height - edge.bottom + edge.top) / 2}) rotate(-90)" text-anchor="middle">${escaped(yLabel)}</text>`;
  return { x, y, markup: `<title>${escaped(title)}</title>${vertical.join('')}${horizontal.join('')}${labels}` };
}

const picture = (text: PlotText, inside: string, below = ''): string =>
  `<figure><figcaption>${escaped(text.title)}</figcaption><svg viewBox="0 0 ${width} ${height}" role="img">${inside}</svg>${below}</figure>`;

/** Bars of equal width. */
export function bars(
  text: PlotText,
  { from, to, counts }: { from: number; to: number; counts: readonly number[] },
  marks: readonly Line[] = [],
): string {
  const top = Math.max(1, ...counts);
  const at = frame(text, { x: [from, to === from ? from + 1 : to], y: [0, top] });
  const step = (to - from || 1) / counts.length;
  const drawn = counts.map((count, index) => {
    const left = at.x(from + index * step);
    const right = at.x(from + (index + 1) * step);
    return count === 0
      ? ''
      : `<rect x="${left.toFixed(1)}" width="${Math.max(0.5, right - left - 0.5).toFixed(1)}" y="${at.y(count).toFixed(1)}" height="${(at.y(0) - at.y(count)).toFixed(1)}"/>`;
  });
  const markers = marks.flatMap(({ label, points }) =>
    points.map(
      ([value]) =>
        `<line class="m" x1="${at.x(value).toFixed(1)}" x2="${at.x(value).toFixed(1)}" y1="${edge.top}" y2="${at.y(0)}"/><text x="${(at.x(value) + 3).toFixed(1)}" y="${edge.top + 10}">${escaped(label)}</text>`,
    ),
  );
  return picture(text, at.markup + drawn.join('') + markers.join(''));
}

/** Lines over a common axis; the vertical one begins at 0. */
export function lines(text: PlotText, all: readonly Line[], options: { readonly top?: number } = {}): string {
  const points = all.flatMap((line) => line.points);
  const right = points.reduce((most, [x]) => Math.max(most, x), 0);
  const top = options.top ?? points.reduce((most, [, y]) => Math.max(most, y), 0);
  const at = frame(text, { x: [0, right || 1], y: [0, top || 1] });
  const drawn = all.map(({ points: line }, index) => {
    const path = line.map(([x, y], step) => `${step === 0 ? 'M' : 'L'}${at.x(x).toFixed(1)} ${at.y(y).toFixed(1)}`).join('');
    return `<path d="${path}" stroke="${colors[index % colors.length]}"/>`;
  });
  const keys =
    all.length < 2
      ? ''
      : `<div class="keys">${all.map(({ label }, index) => `<span><i style="background:${colors[index % colors.length]}"></i>${escaped(label)}</span>`).join('')}</div>`;
  return picture(text, at.markup + drawn.join(''), keys);
}
