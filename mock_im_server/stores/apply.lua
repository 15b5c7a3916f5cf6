-- A batch of actions (`domain/actions.py`, as MessagePack), applied one after the other, each whole or not at all.
--
-- KEYS[1]  what all keys of the app begin with; its {tag} keeps them on one node of a cluster
-- ARGV[1]  the actions; those that follow one another and differ in nothing but the member whom all their quotas are
--          to hold, as logins do, stand there once: epoch, quotas, members, true
--          ARGV[2]  the server process that asks    ARGV[3]  its number for this batch
--
-- Answers the batch's first number in the one order, and for each action code, user number and places taken, then what
-- its draws left. The same goes into the stream of events in the same stroke: no change lacks its trace.

local prefix, batch = KEYS[1], cmsgpack.unpack(ARGV[1])
local numbers_key, names_key = prefix .. 'numbers', prefix .. 'names'
local sizes_key, counters_key = prefix .. 'sizes', prefix .. 'counters'
local STALE_EPOCH, NONE = -1, {}
local AT_ONCE = 2000 -- as many arguments as a call takes without trouble

local epoch = tonumber(redis.call('GET', prefix .. 'epoch') or 0)
local seq = tonumber(redis.call('GET', prefix .. 'seq') or 0)
local known = redis.call('HLEN', numbers_key)
local first_seq = seq + 1

-- Numbers of members: looked up together, as each call costs more than what it looks up.
local number_of, asked = {}, {}
local function ask(member)
  if number_of[member] == nil then
    number_of[member] = 0
    asked[#asked + 1] = member
  end
end
for _, entry in ipairs(batch) do
  if entry[4] then
    for _, member in ipairs(entry[3]) do
      ask(member)
    end
  else
    for _, claim in ipairs(entry[2]) do
      ask(claim[2])
    end
  end
end
for from = 1, #asked, AT_ONCE do
  local to = math.min(from + AT_ONCE - 1, #asked)
  local found = redis.call('HMGET', numbers_key, unpack(asked, from, to))
  for at = from, to do
    number_of[asked[at]] = tonumber(found[at - from + 1] or 0)
  end
end

local function number(member)
  local found = number_of[member]
  if found == nil then
    found = tonumber(redis.call('HGET', numbers_key, member) or 0)
    number_of[member] = found
  end
  return found
end

local fresh = {} -- members that get their numbers now, for two calls at the end
local function numbered(member)
  local found = number(member)
  if found == 0 then
    known = known + 1
    found = known
    number_of[member] = found
    fresh[#fresh + 1] = member
  end
  return found
end

-- A set of one user or group is small, and one of the app may hold everybody: the former are sets of Redis, the latter
-- bitmaps with their sizes beside them.
local SMALL = { members = true, joined = true, live = true, owned = true }
local bits_of = {}
local function bits(name)
  local key = bits_of[name]
  if key == nil then
    local kind = string.match(name, '^(%a+)/')
    key = not SMALL[kind] and prefix .. 'bits/' .. name
    bits_of[name] = key
  end
  return key
end

local sizes, resized = {}, {}
local function size(name)
  if not bits(name) then
    return redis.call('SCARD', prefix .. 'set/' .. name)
  end
  local found = sizes[name]
  if found == nil then
    found = tonumber(redis.call('HGET', sizes_key, name) or 0)
    sizes[name] = found
  end
  return found
end

local function holds(name, member_number)
  if member_number == 0 then
    return false
  end
  local key = bits(name)
  if key then
    return redis.call('GETBIT', key, member_number) == 1
  end
  return redis.call('SISMEMBER', prefix .. 'set/' .. name, member_number) == 1
end

local function add(name, member_number)
  local key = bits(name)
  if key then
    redis.call('SETBIT', key, member_number, 1)
    sizes[name] = size(name) + 1
    resized[name] = true
  else
    redis.call('SADD', prefix .. 'set/' .. name, member_number)
  end
end

local function discard(name, member_number)
  if member_number == 0 then
    return
  end
  local key = bits(name)
  if not key then
    redis.call('SREM', prefix .. 'set/' .. name, member_number)
  elseif redis.call('SETBIT', key, member_number, 0) == 1 then
    sizes[name] = size(name) - 1
    resized[name] = true
  end
end

local function counter(name)
  return tonumber(redis.call('HGET', counters_key, name) or 0)
end

-- The code of the first condition that does not hold, or 0 and a bit for each claim that takes a place.
local function refusal(claims, effects)
  for _, need in ipairs(effects and effects[1] or NONE) do
    if holds(need[1], number(need[2])) ~= need[4] then
      return need[3], 0
    end
  end
  local added, bit = 0, 1
  for _, claim in ipairs(claims) do
    local quota = claim[1]
    local name, limit = quota[1], quota[2]
    if not holds(name, number(claim[2])) then
      if limit and size(name) >= limit then
        return quota[3], 0
      end
      added = added + bit
    end
    bit = bit * 2
  end
  for _, draw in ipairs(effects and effects[2] or NONE) do
    if draw[2] > 0 and draw[3] and counter(draw[1]) + draw[2] > draw[3] then
      return draw[4], 0
    end
  end
  return 0, added
end

local function name_of(member_number)
  -- A member of this batch has its name in no key yet; the fresh ones have the last numbers.
  local at = member_number - (known - #fresh)
  return fresh[at] or redis.call('HGET', names_key, member_number)
end

local function clear(clearing)
  local name, inverse, member_number = clearing[1], clearing[2], number(clearing[3])
  local key = prefix .. 'set/' .. name
  for _, other in ipairs(redis.call('SMEMBERS', key)) do
    discard(inverse .. name_of(tonumber(other)), member_number)
  end
  redis.call('DEL', key)
end

local function carry_out(effects)
  local drawn = {}
  for _, leave in ipairs(effects[3]) do
    discard(leave[1], number(leave[2]))
  end
  for _, clearing in ipairs(effects[4]) do
    clear(clearing)
  end
  for _, draw in ipairs(effects[2]) do
    redis.call('HINCRBY', counters_key, draw[1], draw[2])
  end
  for _, peak in ipairs(effects[5]) do
    redis.call('HSET', counters_key, peak[1], math.max(counter(peak[1]), size(peak[2])))
  end
  for at, draw in ipairs(effects[2]) do
    drawn[at] = counter(draw[1])
  end
  return drawn
end

-- Whether so many members more fit into each quota's bitmap, so that none can be refused.
local function fit(quotas, count)
  for _, quota in ipairs(quotas) do
    if not bits(quota[1]) or (quota[2] and size(quota[1]) + count > quota[2]) then
      return false
    end
  end
  return quotas[1][1] ~= quotas[2][1]
end

-- One call where two would do: to set a bit tells what it was.
local function mark(name, member_number)
  if redis.call('SETBIT', bits_of[name], member_number, 1) == 1 then
    return 0
  end
  sizes[name] = size(name) + 1
  resized[name] = true
  return 1
end

local answer, said, draws = {}, 0, {}
local function say(code, member_number, added)
  answer[said + 1], answer[said + 2], answer[said + 3] = code, member_number, added
  said = said + 3
end

local function apply(at, claims, effects)
  local code, added = refusal(claims, effects)
  if code == 0 then
    -- From here on the action succeeds: nothing has been written before.
    local bit = 1
    for _, claim in ipairs(claims) do
      local member_number = numbered(claim[2])
      if added % (bit * 2) >= bit then
        add(claim[1][1], member_number)
      end
      bit = bit * 2
    end
    if effects then
      draws[#draws + 1] = { at - 1, carry_out(effects) }
    end
  end
  local first = claims[1] and claims[1][2] or (effects and effects[3][1] and effects[3][1][2])
  say(code, first and number(first) or 0, added)
end

local function apply_alike(at, quotas, members)
  if fit(quotas, #members) then
    local first, second = quotas[1][1], quotas[2][1]
    for _, member in ipairs(members) do
      local member_number = numbered(member)
      say(0, member_number, mark(first, member_number) + 2 * mark(second, member_number))
    end
  else
    local claims = { { quotas[1] }, { quotas[2] } }
    for place, member in ipairs(members) do
      claims[1][2], claims[2][2] = member, member
      apply(at + place - 1, claims, nil)
    end
  end
  seq = seq + #members
  return at + #members
end

local at = 1
for _, entry in ipairs(batch) do
  local is_many = entry[4]
  if entry[1] ~= epoch then
    for _ = 1, is_many and #entry[3] or 1 do
      say(STALE_EPOCH, 0, 0)
      at = at + 1
    end
  elseif is_many then
    at = apply_alike(at, entry[2], entry[3])
  else
    seq = seq + 1
    apply(at, entry[2], entry[3])
    at = at + 1
  end
end

for from = 1, #fresh, AT_ONCE do
  local numbered_now, named_now = {}, {}
  for at = from, math.min(from + AT_ONCE - 1, #fresh) do
    local member = fresh[at]
    local place = 2 * (at - from)
    numbered_now[place + 1], numbered_now[place + 2] = member, number_of[member]
    named_now[place + 1], named_now[place + 2] = number_of[member], member
  end
  redis.call('HSET', numbers_key, unpack(numbered_now))
  redis.call('HSET', names_key, unpack(named_now))
end
for name in pairs(resized) do
  redis.call('HSET', sizes_key, name, sizes[name])
end

local reply = cmsgpack.pack({ first_seq, answer, draws })
if seq >= first_seq then
  redis.call('SET', prefix .. 'seq', seq)
  redis.call('XADD', prefix .. 'events', '*', 'server', ARGV[2], 'batch', ARGV[3], 'seqs', first_seq .. '-' .. seq,
    'actions', ARGV[1], 'outcomes', reply)
end
return reply
