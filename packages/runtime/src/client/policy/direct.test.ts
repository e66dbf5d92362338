import { expect, test } from 'vitest';
import { collect } from '../../async/pipe.ts';
import { openEndpointClient } from '../client.ts';
import { stubWire } from '../testing/wire-stub.ts';
import { direct } from './direct.ts';
import { policyContract } from './policy.contract.ts';

policyContract({
  open: direct,
  call: (ids, turn) => ({ instance: ids[turn % ids.length] ?? 0n }),
  skip: [{ case: 'one that is broken is left alone after its first failure', reason: 'it goes where the call says, quarantined or not' }],
});

test('without an instance the call is at fault, and an unknown one can not be reached', async () => {
  await using stage = stubWire(() => []);
  await using client = openEndpointClient(stage.parts, 'demo.backend.generate', { policy: 'direct' });
  await stage.put(1n);
  await client.ready();
  await expect(collect(client.generate(null))).rejects.toMatchObject({ code: 'invalid_argument' });
  await expect(collect(client.generate(null, { instance: 5n }))).rejects.toMatchObject({
    code: 'cannot_connect',
    message: 'instance_id=5 not found for endpoint demo/backend/generate',
  });
  expect(stage.sent).toEqual([]);
});
