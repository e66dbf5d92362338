/** What was chosen: the position among the candidates, and how many shared the lowest cost. */
export interface Choice {
  readonly at: number;
  readonly ties: number;
}

/**
 * Picks one of the first `count` costs (spec kv-router 8). Without temperature the lowest, each of several equal ones
 * with the same chance; with one, a draw by softmax over the costs scaled to 0 … 1.
 */
export function choose(costs: Float64Array, count: number, options: { temperature: number; random: () => number }): Choice {
  const { temperature, random } = options;
  let at = 0;
  let ties = 1;
  let greatest = costs[0] ?? 0;
  for (let next = 1; next < count; next++) {
    const cost = costs[next] ?? 0;
    const best = costs[at] ?? 0;
    if (cost > greatest) greatest = cost;
    if (cost < best) {
      at = next;
      ties = 1;
    } else if (cost === best) {
      ties++;
      if (temperature === 0 && random() * ties < 1) at = next;
    }
  }
  if (temperature === 0 || count < 2) return { at, ties };
  return { at: draw(costs, count, { least: costs[at] ?? 0, greatest, temperature, u: random() }), ties };
}

function draw(costs: Float64Array, count: number, with_: { least: number; greatest: number; temperature: number; u: number }): number {
  const { least, greatest, temperature, u } = with_;
  const scale = (greatest - least) * temperature;
  if (greatest === least) return Math.min(count - 1, Math.floor(u * count));
  let total = 0;
  for (let at = 0; at < count; at++) total += Math.exp(-((costs[at] ?? 0) - least) / scale);
  let sum = 0;
  for (let at = 0; at < count; at++) {
    sum += Math.exp(-((costs[at] ?? 0) - least) / scale) / total;
    if (sum >= u) return at;
  }
  return count - 1;
}
