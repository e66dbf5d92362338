import { expect, test } from 'vitest';
import { nearTo } from './transfer.ts';

const request = { model: 'm', tokenIds: [1], routing: { routing_constraints: { required_taints: ['gpu=a'], preferred_taints: { x: 0.5 } } } };

test('a place that is required is a taint that the decode worker must have, beside those that the client asks for', () => {
  const near = nearTo(request, { domain: 'zone', enforcement: 'required', value: 'z1' });
  expect(near.routing).toEqual({
    routing_constraints: { required_taints: ['gpu=a', 'dynamo.topology/zone=z1'], preferred_taints: { x: 0.5 } },
  });
  expect(nearTo(near, { domain: 'zone', enforcement: 'required', value: 'z1' })).toEqual(near);
});

test('one that is preferred makes its workers cheaper', () => {
  const near = nearTo({ model: 'm', tokenIds: [1] }, { domain: 'rack', enforcement: 'preferred', weight: 0.25, value: 'r7' });
  expect(near.routing).toEqual({ routing_constraints: { preferred_taints: { 'dynamo.topology/rack=r7': 0.25 } } });
});

test('a worker that is nowhere wants nothing', () => {
  expect(nearTo(request, undefined)).toBe(request);
  expect(nearTo(request, { domain: 'zone', enforcement: 'required' })).toBe(request);
});
