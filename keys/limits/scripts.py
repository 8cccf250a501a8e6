"""The steps in Redis, each one atomic. All keys of a workspace share a hash tag, so that a cluster can run them too.

    <prefix>epoch      says that the counters are whole; a new text whenever they were rebuilt. Without it, Redis has lost them.
    <prefix>leases     sorted set of what calls hold, by the second at which it is given back. A member is the reservation's id
                       and what it took: "<id>|<counter>=<amount>|...".
    <prefix>lapsed     what was given back because nobody renewed it, by the time of that: it may still be settled once.
    <prefix>done:<id>  a reservation that was settled after its lease was lost together with the epoch.
    <prefix>full       the budgets that have refused a call since somebody looked, when little was left of them.
    <prefix><counter>  one number for each limit and window.

Amounts go to INCRBY as the texts that they came as: Lua's own numbers are exact only up to nine million dollars.
"""

from __future__ import annotations

from typing import Final

# What scripts answer in place of the number of a limit where the epoch is missing.
UNKNOWN: Final = -1
# A lapsed reservation can be settled for this long, and a settled one is known for as long.
LAPSED_S: Final = 86_400
# How many leases one admission looks after: the rest is for the next one.
SWEEP: Final = 20

_GIVE_BACK: Final = """
local function give_back(member, prefix)
  for place, amount in string.gmatch(member, '|([^=|]+)=(%d+)') do
    if redis.call('EXISTS', prefix .. place) == 1 then redis.call('DECRBY', prefix .. place, amount) end
  end
end
local function sweep(leases, lapsed, prefix, now, most)
  local late = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, most)
  for _, member in ipairs(late) do
    redis.call('ZREM', leases, member)
    redis.call('ZADD', lapsed, now, member)
    give_back(member, prefix)
  end
  if #late > 0 then
    redis.call('ZREMRANGEBYSCORE', lapsed, '-inf', now - 86400)
    redis.call('EXPIRE', lapsed, 86400)
  end
  return #late
end
"""
# KEYS: epoch, leases, lapsed, one counter a limit. ARGV: prefix, seconds of a lease, 1 to refuse without an epoch, the number
# of reservations, each one's member; then cap, amount and the second of expiry of each limit. Nothing is taken unless all fits.
# Answers the number of the limit that is full, what it has counted, and the epoch; or 0, and 1 where a config's budget is near
# its end.
ADMIT: Final = (
    _GIVE_BACK
    + """
local epoch = redis.call('GET', KEYS[1]) or ''
if epoch == '' and ARGV[3] == '1' then return {-1, 0, ''} end
local now = tonumber(redis.call('TIME')[1])
sweep(KEYS[2], KEYS[3], ARGV[1], now, 20)
local members = tonumber(ARGV[4])
local at = 4 + members
for i = 4, #KEYS do
  local cap, amount = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local used = redis.call('GET', KEYS[i]) or '0'
  local sum = tonumber(used) + amount
  if sum > cap or (amount == 0 and tonumber(used) >= cap) then
    if tonumber(used) >= 0.8 * cap and string.find(KEYS[i], ':cost:', 1, true) then
      redis.call('HSET', ARGV[1] .. 'full', KEYS[i], 1)
      redis.call('EXPIRE', ARGV[1] .. 'full', 86400)
    end
    return {i - 3, used, epoch}
  end
  at = at + 3
end
local near = 0
at = 4 + members
for i = 4, #KEYS do
  local sum = redis.call('INCRBY', KEYS[i], ARGV[at + 2])
  if ARGV[at + 3] ~= '0' and sum == tonumber(ARGV[at + 2]) then redis.call('EXPIREAT', KEYS[i], ARGV[at + 3]) end
  if sum >= 0.8 * tonumber(ARGV[at + 1]) and string.find(KEYS[i], '}:config:', 1, true) then near = 1 end
  at = at + 3
end
for i = 1, members do redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[4 + i]) end
return {0, near, epoch}
"""
)
# KEYS: epoch, leases, lapsed, the mark of being done, counters. ARGV: the member, the epoch it was taken in; then for each
# counter the difference to the estimate, the truth, and the second of expiry. Settling twice changes nothing.
SETTLE: Final = """
local held = redis.call('ZREM', KEYS[2], ARGV[1])
if held == 0 then
  if (redis.call('GET', KEYS[1]) or '') == ARGV[2] then
    if redis.call('ZREM', KEYS[3], ARGV[1]) == 0 then return 0 end
  elseif not redis.call('SET', KEYS[4], 1, 'NX', 'EX', 86400) then return 0 end
end
local now = tonumber(redis.call('TIME')[1])
local at = 2
for i = 5, #KEYS do
  local amount, expiry = ARGV[at + 2 - held], ARGV[at + 3]
  if amount ~= '0' then
    if redis.call('EXISTS', KEYS[i]) == 1 then
      redis.call('INCRBY', KEYS[i], amount)
    elseif held == 0 and (expiry == '0' or tonumber(expiry) > now) then
      redis.call('INCRBY', KEYS[i], amount)
      if expiry ~= '0' then redis.call('EXPIREAT', KEYS[i], expiry) end
    end
  end
  at = at + 3
end
return 1
"""
# KEYS: epoch, leases. ARGV: seconds of a lease, members. Answers the epoch, and the numbers of the members that are not there.
RENEW: Final = """
local deadline = tonumber(redis.call('TIME')[1]) + ARGV[1]
local answer = {redis.call('GET', KEYS[1]) or ''}
for i = 2, #ARGV do
  if redis.call('ZSCORE', KEYS[2], ARGV[i]) then
    redis.call('ZADD', KEYS[2], deadline, ARGV[i])
  else
    answer[#answer + 1] = i - 2
  end
end
return answer
"""
# Takes again what a call held when Redis forgot it or its lease ran out. KEYS: epoch, leases, lapsed, counters. ARGV: seconds
# of a lease, the member; then amount and the second of expiry of each counter. Answers the epoch.
HOLD: Final = """
local epoch = redis.call('GET', KEYS[1]) or ''
if redis.call('ZSCORE', KEYS[2], ARGV[2]) then return epoch end
redis.call('ZREM', KEYS[3], ARGV[2])
local now = tonumber(redis.call('TIME')[1])
local at = 2
for i = 4, #KEYS do
  local expiry = tonumber(ARGV[at + 2])
  if expiry == 0 or expiry > now then
    redis.call('INCRBY', KEYS[i], ARGV[at + 1])
    if expiry ~= 0 then redis.call('EXPIREAT', KEYS[i], expiry) end
  end
  at = at + 2
end
redis.call('ZADD', KEYS[2], now + ARGV[1], ARGV[2])
return epoch
"""
# KEYS: leases, lapsed. ARGV: prefix. Gives back what has not been renewed; answers how many calls' that was.
SWEEP_ALL: Final = (
    _GIVE_BACK
    + """
return sweep(KEYS[1], KEYS[2], ARGV[1], tonumber(redis.call('TIME')[1]), 1000)
"""
)
# Puts counters right by the ledger. KEYS: epoch, leases, counters. ARGV: prefix, the new epoch ('' leaves the old one), the
# epoch that is expected; then for each counter what the ledger says and the second of expiry. The estimates of calls under way
# come on top. A counter that is higher stays: it knows calls that are not in the ledger yet. Answers 1, or 0 where the epoch is
# another.
REBUILD: Final = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[3] then return 0 end
local held = {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  for place, amount in string.gmatch(member, '|([^=|]+)=(%d+)') do
    held[ARGV[1] .. place] = (held[ARGV[1] .. place] or 0) + tonumber(amount)
  end
end
local at = 3
for i = 3, #KEYS do
  redis.call('SET', KEYS[i], redis.call('GET', KEYS[i]) or '0')
  local missing = tonumber(ARGV[at + 1]) + (held[KEYS[i]] or 0) - tonumber(redis.call('GET', KEYS[i]))
  if missing > 0 then redis.call('INCRBY', KEYS[i], string.format('%.0f', missing)) end
  if ARGV[at + 2] ~= '0' then redis.call('EXPIREAT', KEYS[i], ARGV[at + 2]) end
  at = at + 2
end
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2]) end
return 1
"""
# KEYS: leases, counters. ARGV: prefix. Answers for each counter what it says and what calls under way have of that, as texts.
LOOK: Final = """
local held = {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  for place, amount in string.gmatch(member, '|([^=|]+)=(%d+)') do
    held[ARGV[1] .. place] = (held[ARGV[1] .. place] or 0) + tonumber(amount)
  end
end
local answer = {}
for i = 2, #KEYS do
  answer[#answer + 1] = redis.call('GET', KEYS[i]) or '0'
  answer[#answer + 1] = string.format('%.0f', held[KEYS[i]] or 0)
end
return answer
"""
# Adds differences that two looks have seen. KEYS: counters. ARGV: the difference and the second of expiry of each.
CORRECT: Final = """
for i = 1, #KEYS do
  redis.call('INCRBY', KEYS[i], ARGV[2 * i - 1])
  if ARGV[2 * i] ~= '0' then redis.call('EXPIREAT', KEYS[i], ARGV[2 * i]) end
end
return 0
"""
