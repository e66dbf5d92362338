import { Transformer } from '@napi-rs/image';
import { Multimodal } from '@dynamo/multimodal';
import { median } from './median.ts';

const [width, height] = [1920, 1080];

/** Decoding one picture of 1080p: by the library alone, by `load`, and with its hash, in turns. */
export async function media(options: { rounds: number }): Promise<void> {
  const pixels = new Uint8Array(width * height * 4);
  // Smooth with a little noise, as photographs are.
  for (let at = 0, noise = 1; at < pixels.length; at++) {
    noise = (Math.imul(noise, 1_664_525) + 1_013_904_223) >>> 0;
    pixels[at] = at % 4 === 3 ? 255 : ((at % (width * 4)) / 32 + at / 65_536 + (noise >>> 29)) & 255;
  }
  const source = (): Transformer => Transformer.fromRgbaPixels(pixels, width, height);
  const pictures = { jpeg: await source().jpeg(85), png: await source().png(), webp: await source().webp(80) };
  await using multimodal = new Multimodal();
  for (const [format, data] of Object.entries(pictures)) {
    const lanes: Record<string, () => Promise<unknown>> = {
      library: () => new Transformer(data).rawPixels(),
      load: () => multimodal.load({ kind: 'image', data }),
      'load and hash': async () => multimodal.hash(await multimodal.load({ kind: 'image', data })),
    };
    const seen: Record<string, number[]> = Object.fromEntries(Object.keys(lanes).map((name) => [name, []]));
    for (let round = -1; round < options.rounds; round++) {
      for (const [name, decode] of Object.entries(lanes)) {
        const start = performance.now();
        await decode();
        // The first round warms up.
        if (round >= 0) seen[name]?.push(performance.now() - start);
      }
    }
    const alone = median(seen['library'] as number[]);
    for (const [name, times] of Object.entries(seen)) {
      const ms = median(times);
      console.log(`${format.padEnd(5)} ${name.padEnd(14)} ${ms.toFixed(1)} ms   ${(ms / alone).toFixed(2)} of the library alone`);
    }
  }
}
