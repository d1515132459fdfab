/**
 * Calls: a request that has exactly one answer, in time, or word that there will be none.
 *
 * The answer is a message to the caller's mailbox: what the callee has replied, of a type of its
 * choice; or ACT_TYPE_TIMEOUT, body: the callee's act_id; or ACT_TYPE_DOWN, body: struct act_down,
 * who was to answer and did not. act_call_of tells which call it answers: answers come in any
 * order. The first one to be handled ends the call; what comes after it is a dead letter, as is
 * what comes for a caller that is gone. A call belongs to its actor and ends with it.
 *
 * The callee receives the request as any other message. It may keep it, answer others before it,
 * and send it on (act_send): whoever has it answers it. A handle that act_message_ref gives to its
 * body is no request. Ending a request unanswered, which is also what becomes of one that waits in
 * the mailbox of an actor that stops, tells the caller so; an actor that keeps requests ends them
 * in its `stopped`.
 */
#ifndef ACT_CALL_H
#define ACT_CALL_H

#include <act/message.h>
#include <act/port.h>
#include <act/types.h>

ACT_DECLARATIONS_BEGIN

/** Names a call of an actor; none has the same one again. 0 is none. */
typedef uint64_t act_call_id;

/**
 * What a request carries besides its body. A message with so much more capacity than body becomes
 * the request itself; for another one a second handle is made, of 128 bytes.
 */
enum { ACT_CALL_BYTES = 32 };

/**
 * Sends a request of the running actor's.
 *
 * Ownership: takes m on 0; on an error it stays with the caller.
 * Threads:   only from a handler. Costs the logarithm of the number of the worker's timers.
 * Shape:     timeout_ns as of act_timer_start; UINT64_MAX waits without end.
 * Returns:   0 and, when call is not NULL, its name in *call, also when the callee is gone (the
 *            answer says so); -EPERM outside of a handler; -EINVAL for no message or a request that
 *            is not answered yet; -ENOMEM; or as act_send.
 */
int act_call(act_id to, struct act_message *m, uint64_t timeout_ns,
             act_call_id *call) ACT_MUST_CHECK;

/**
 * Answers a request. An answer passes the bound of the caller's mailbox: it has been asked for.
 *
 * Ownership: borrows request, which then is a message like others, to be ended; takes answer on 0;
 *            on an error both are as they were. The request may be its own answer: then it is
 *            taken.
 * Threads:   as act_send.
 * Returns:   0, also when nobody waits for it any more; -EPERM for a thread without a port;
 *            -EINVAL when request is none or is answered already, for no answer, one that is
 *            another request, or one of a type of the runtime's; -EAGAIN when the lane is full;
 *            -ENOMEM.
 */
int act_reply(struct act_message *request, struct act_message *answer) ACT_MUST_CHECK;

/** The call that a received message answers; 0 when it is no answer. */
act_call_id act_call_of(const struct act_message *m);

/**
 * Sends a request and waits for its answer; what else comes for the port waits meanwhile.
 *
 * Ownership: takes m on 0, -ETIMEDOUT and -EHOSTDOWN, else it stays with the caller; gives the
 *            caller *answer on 0.
 * Threads:   the port's own. Blocks.
 * Shape:     timeout_ns as of act_port_receive.
 * Returns:   0; -ETIMEDOUT; -EHOSTDOWN when it will not be answered; -EPERM for another thread;
 *            -EINVAL as act_call, also for the port itself and for no place for the answer;
 *            -ENOMEM; or as act_send.
 */
int act_port_call(struct act_port *port, act_id to, struct act_message *m, uint64_t timeout_ns,
                  struct act_message **answer) ACT_MUST_CHECK;

ACT_DECLARATIONS_END

#endif
