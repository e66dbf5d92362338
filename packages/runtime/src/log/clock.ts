/** Now in milliseconds since the epoch, with its microseconds behind the point. */
export type FineClock = () => number;

/** How far the monotonic clock may be from the wall clock before it is set anew, in milliseconds. */
const driftMs = 20;

/** The wall clock with microseconds: two lines of one millisecond keep their order. */
export function fineClock(): FineClock {
  let origin = performance.timeOrigin;
  return () => {
    const now = origin + performance.now();
    const wall = Date.now();
    if (Math.abs(wall - now) < driftMs) return now;
    origin = wall - performance.now();
    return wall;
  };
}

/**
 * Writes a moment as the real system's log lines do, in UTC or in local time (spec lora-recorder-misc 5).
 *
 * The seconds are written once a second.
 */
export function timestamps(local: boolean): (ms: number) => string {
  let second = Number.NaN;
  let head = '';
  let tail = '';
  return (ms) => {
    const whole = Math.round(ms * 1_000);
    const now = Math.floor(whole / 1_000_000);
    if (now !== second) {
      second = now;
      const offset = local ? -new Date(now * 1_000).getTimezoneOffset() : 0;
      head = new Date(now * 1_000 + offset * 60_000).toISOString().slice(0, 19);
      tail = local ? zone(offset) : 'Z';
    }
    return `${head}.${String(whole - now * 1_000_000).padStart(6, '0')}${tail}`;
  };
}

function zone(minutes: number): string {
  const size = Math.abs(minutes);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}
