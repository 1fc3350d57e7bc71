/** `pintail file`: files to and from other devices. What the two verbs do: `file-cp.ts`, `file-get.ts`. [docs/rules/cli.md CLI-9] */
import type { Verb } from '../verb.ts'
import { copyFiles, listTargets } from './file-cp.ts'
import { conflictRules, getFiles } from './file-get.ts'
import { showQueue } from './file-queue.ts'

export const file: Verb = {
  name: 'file',
  summary: 'Send files to devices, and get what they sent',
  examples: ['pintail file cp photo.jpg phone:', 'pintail file get ~/Downloads'],
  verbs: [
    {
      name: 'cp',
      summary: 'Send files to a device',
      args: '<files...> <target>:',
      details:
        'The last word is the device, with a colon behind it: a name, an address, or an IPv6 address in brackets.\nWhat broke off before goes on where it ended.',
      examples: [
        'pintail file cp ./my-file.txt air:',
        'pintail file cp *.jpg air: nas:',
        'tar c folder | pintail file cp --name=folder.tar - nas:',
        'pintail file cp --queue slides.pdf laptop:',
        'pintail file cp --targets',
      ],
      flags: [
        {
          name: 'name',
          kind: 'text',
          help: 'another name for the file, above all for standard input (-)',
          default: '',
        },
        { name: 'verbose', kind: 'bool', help: 'say what is sent', default: false },
        { name: 'targets', kind: 'bool', help: 'list the devices that files can be sent to', default: false },
        {
          name: 'update-interval',
          kind: 'duration',
          help: 'how often to show progress; 0 = never. In milliseconds',
          default: 250,
        },
        {
          name: 'queue',
          kind: 'bool',
          help: 'leave the files with the daemon, which sends them when the device appears, within a week',
          default: false,
        },
        { name: 'json', kind: 'bool', help: 'an object for each file or target', default: false },
      ],
      run: (call) => (call.flags.bool('targets') ? listTargets(call) : copyFiles(call)),
    },
    {
      name: 'queue',
      summary: 'Show or cancel files that wait for their device',
      examples: ['pintail file queue', 'pintail file queue --cancel=0a1b…'],
      flags: [
        { name: 'cancel', kind: 'text', help: 'the id of a file that is not to be sent', default: '' },
        { name: 'json', kind: 'bool', help: "the daemon's list", default: false },
      ],
      run: showQueue,
    },
    {
      name: 'get',
      summary: 'Move files that were sent to this device into a folder',
      args: '<target-directory>',
      details: '/dev/null as the folder deletes them.',
      examples: ['pintail file get .', 'pintail file get --wait --conflict=rename ~/Downloads'],
      flags: [
        { name: 'wait', kind: 'bool', help: 'wait for a file when there is none', default: false },
        { name: 'loop', kind: 'bool', help: 'go on getting files as they come', default: false },
        { name: 'verbose', kind: 'bool', help: 'say what is written', default: false },
        {
          name: 'conflict',
          kind: 'text',
          help: `what to do when a file of that name exists: ${conflictRules.join(', ')}`,
          default: 'skip',
        },
        { name: 'json', kind: 'bool', help: 'an object for each file', default: false },
      ],
      run: getFiles,
    },
  ],
}
