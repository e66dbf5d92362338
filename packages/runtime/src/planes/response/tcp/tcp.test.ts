import { tcpBytes } from '../../testing/stage.ts';
import { responsePlanes } from '../index.ts';
import { inputContract } from '../input.contract.ts';
import { responsePlaneContract } from '../response-plane.contract.ts';

responsePlaneContract({ plane: responsePlanes.tcp, bytes: tcpBytes, skip: [] });
inputContract({ plane: responsePlanes.tcp, bytes: tcpBytes, skip: [] });
