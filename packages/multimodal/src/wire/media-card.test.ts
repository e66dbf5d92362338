import { expect, test } from 'vitest';
import { decodeRules } from '../decode/rules.ts';
import { decodeMediaCard, encodeMediaCard } from './media-card.ts';

test('defaults are those of 1.6.1, and every limit is written', () => {
  expect(encodeMediaCard({})).toEqual({
    media_decoder: { image: { limits: { max_image_width: null, max_image_height: null, max_alloc: 134_217_728 } } },
    media_fetcher: {
      user_agent: 'dynamo-ai/dynamo',
      allow_direct_ip: false,
      allow_direct_port: false,
      allow_private_ips: false,
      allowed_media_domains: null,
      timeout: { secs: 30, nanos: 0 },
    },
  });
  expect(encodeMediaCard({ decode: { maxWidth: 4096 } }).media_decoder).toEqual({
    image: { limits: { max_image_width: 4096, max_image_height: null, max_alloc: 134_217_728 } },
  });
});

test('options survive the way through a card', () => {
  const fetch = {
    userAgent: 'ua/1',
    timeoutMs: 1_500,
    allowDirectIp: true,
    allowDirectPort: false,
    allowPrivateIps: true,
    allowedDomains: ['b.example'],
  };
  const decode = { maxWidth: 10, maxHeight: 20, maxAllocBytes: null };
  const card = encodeMediaCard({ fetch, decode });
  expect(card.media_fetcher).toMatchObject({ timeout: { secs: 1, nanos: 500_000_000 }, allowed_media_domains: ['b.example'] });
  expect(decodeMediaCard(card)).toEqual({ fetch, decode });
});

test('a card that was written by 1.6.1 is read as it means it', () => {
  expect(decodeMediaCard({ media_decoder: null, media_fetcher: null })).toBeUndefined();
  expect(decodeMediaCard({ media_decoder: { image: null }, media_fetcher: null })).toBeUndefined();
  const unset = decodeMediaCard({ media_decoder: { image: {} }, media_fetcher: null });
  expect(decodeRules(unset?.decode).maxAllocBytes).toBe(134_217_728);
  const given = decodeMediaCard({
    media_decoder: { image: { limits: { max_image_width: 4096, max_image_height: null, max_alloc: null } } },
    media_fetcher: null,
  });
  expect(decodeRules(given?.decode)).toMatchObject({ maxWidth: 4096, maxAllocBytes: null });
});

test('unknown members are refused in the words of 1.6.1', () => {
  const read = (image: unknown) => () => decodeMediaCard({ media_decoder: { image }, media_fetcher: null });
  expect(read({ foo: 1 })).toThrow('Failed to parse image decoder config: unknown field `foo`, expected `limits`');
  expect(read({ limits: { nope: 1 } })).toThrow('unknown field `nope`, expected one of `max_image_width`, `max_image_height`, `max_alloc`');
  expect(read({ limits: { max_alloc: -1 } })).toThrow('max_alloc must be a whole number');
});
