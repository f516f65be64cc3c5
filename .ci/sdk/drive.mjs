// Drives Segment's published SDK for Node against a running Rapport, through a small proxy that remembers each
// request and refuses the first one with 429, as an overloaded server does.
//   RAPPORT_URL, RAPPORT_WRITE_KEY, RAPPORT_API_KEY
import assert from 'node:assert/strict'
import http from 'node:http'
import { Analytics } from '@segment/analytics-node'

const { RAPPORT_URL: url, RAPPORT_WRITE_KEY: writeKey, RAPPORT_API_KEY: apiKey } = process.env
assert(url && writeKey && apiKey, 'set RAPPORT_URL, RAPPORT_WRITE_KEY and RAPPORT_API_KEY')

const RETRY_AFTER_S = 2
const requests = []
const proxy = http.createServer(async (request, response) => {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  const seen = { at: Date.now(), path: request.url, headers: request.headers, body: Buffer.concat(chunks) }
  requests.push(seen)
  if (requests.length === 1) {
    seen.status = 429
    response.writeHead(429, { 'retry-after': String(RETRY_AFTER_S), 'content-type': 'application/problem+json' })
    response.end('{"title":"Too much is in work"}')
    return
  }
  const answer = await forward(seen)
  seen.status = answer.status
  response.writeHead(answer.status, { 'content-type': 'application/json' })
  response.end(await answer.text())
})
const forward = ({ path, headers, body }) => {
  const { host, connection, 'content-length': length, 'transfer-encoding': transfer, ...rest } = headers
  return fetch(url + path, { method: 'POST', headers: rest, body })
}
await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve))

const analytics = new Analytics({ writeKey, host: `http://127.0.0.1:${proxy.address().port}`, flushAt: 100, maxRetries: 3 })
const errors = []
analytics.on('error', (error) => errors.push(error))
const at = new Date()
analytics.identify({ userId: 'sdk-node-1', traits: { email: 'sdk-node-1@inbox.example', plan: 'pro' }, messageId: 'sdk-node-identify' })
analytics.track({ userId: 'sdk-node-1', event: 'Order Completed', properties: { order_id: 'o-1', revenue: 12.5, currency: 'EUR' }, timestamp: at, messageId: 'sdk-node-track' })
analytics.page({ userId: 'sdk-node-1', name: 'Home', properties: { url: 'https://shop.example/' }, messageId: 'sdk-node-page' })
analytics.screen({ userId: 'sdk-node-1', name: 'Start', messageId: 'sdk-node-screen' })
analytics.group({ userId: 'sdk-node-1', groupId: 'sdk-team', traits: { name: 'Team' }, messageId: 'sdk-node-group' })
analytics.track({ anonymousId: 'sdk-anonymous-1', event: 'Product Viewed', properties: { product_id: 'p-1' }, messageId: 'sdk-node-anonymous' })
analytics.alias({ userId: 'sdk-node-1', previousId: 'sdk-node-old', messageId: 'sdk-node-alias' })
await analytics.closeAndFlush({ timeout: 60_000 })
assert.deepEqual(errors, [], 'the SDK reported errors')

const ids = ['identify', 'track', 'page', 'screen', 'group', 'anonymous', 'alias'].map((name) => `sdk-node-${name}`).sort()
const accepted = requests.filter((request) => request.status === 200)
assert(requests.length > accepted.length, 'no request was refused')
assert(accepted[0].at - requests[0].at >= RETRY_AFTER_S * 1000, 'Retry-After was not waited for')
assert.equal(accepted[0].headers['x-retry-count'], '1', 'the retry did not say that it is one')

async function api(path, body) {
  const answer = await fetch(url + path, {
    method: body ? 'POST' : 'GET',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  })
  assert(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`)
  return answer.json()
}
const ours = (items) => items.map((item) => item.message_id).filter((id) => id.startsWith('sdk-node-')).sort()

// The list of recent events.
let list = await api('/api/events?limit=200')
assert.deepEqual(ours(list.items.filter((item) => item.outcome === 'accepted')), ids, '/api/events shows each once')

// The same bytes again: what a client does that did not get the answer.
for (const request of accepted) {
  const answer = await forward(request)
  assert.equal(answer.status, 200)
  const told = await answer.json()
  assert(told.results.every((result) => result.status === 'duplicate'), JSON.stringify(told))
}
list = await api('/api/events?limit=200')
assert.deepEqual(ours(list.items.filter((item) => item.outcome === 'accepted')), ids, 'a repetition changes nothing')
const counted = await api('/api/query', { sql: "SELECT message_id, count(*) FROM events WHERE message_id LIKE 'sdk-node-%' GROUP BY message_id ORDER BY message_id" })
assert.deepEqual(counted.rows, ids.map((id) => [id, 1]), 'the lake has each once')
const people = await api('/api/profiles?q=sdk-node-1')
assert.equal(people.items.length, 1, 'one person')

proxy.close()
console.log(`@segment/analytics-node: ${ids.length} calls, each there once; 429 was waited out for ${RETRY_AFTER_S} s`)
