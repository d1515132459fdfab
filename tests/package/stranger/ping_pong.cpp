// A C++ program against the installed headers: two actors and a ball.
#include <act/actor.h>
#include <act/port.h>
#include <act/runtime.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

namespace
{
constexpr uint32_t rounds = 1000;
enum : uint32_t { ball = 1, done };

class player
{
  public:
    player(act_id report_to) : report_to_(report_to)
    {
    }
    void receive(act_message *m)
    {
        act_id to = m->from;
        if (m->body_bytes == sizeof to) { // the first one: whom to play with
            to = *static_cast<act_id *>(m->body);
            m->body_bytes = 0;
        }
        if (++hits_ == rounds) {
            m->type = done;
            to = report_to_;
        }
        if (act_send(to, m) != 0) std::abort();
    }

  private:
    act_id report_to_;
    uint32_t hits_ = 0;
};

act_id spawn(uint32_t worker, act_id report_to)
{
    static const act_behaviour behaviour = {
        [](void *state, act_message *m) { static_cast<player *>(state)->receive(m); }, nullptr,
        [](void *state, int) { delete static_cast<player *>(state); }};
    auto state = std::make_unique<player>(report_to);
    const act_spawn_options options = {&behaviour, state.get(), ACT_PLACE_ON(worker), 0, nullptr};
    act_id id = ACT_ID_NONE;
    if (act_spawn(&options, &id) != 0) std::abort();
    state.release();
    return id;
}
} // namespace

int main()
{
    act_runtime_options options;
    act_runtime *runtime = nullptr;
    act_port *port = nullptr;
    act_error why;

    act_runtime_options_init(&options);
    options.workers = 2;
    if (act_runtime_start(&options, &runtime, &why) != 0) return std::puts(why.text), 1;
    if (act_port_open(runtime, &port) != 0) return 1;
    const act_id first = spawn(0, act_port_id(port));
    act_message *m = act_message_create(ball, sizeof(act_id));
    if (m == nullptr) return 1;
    *static_cast<act_id *>(m->body) = spawn(1, act_port_id(port));
    if (act_send(first, m) != 0) return 1;
    m = act_port_receive(port, UINT64_MAX);
    std::printf("type %u from C++\n", m->type);
    act_message_unref(m);
    act_port_close(port);
    return act_runtime_stop(runtime) == 0 ? 0 : 1;
}
